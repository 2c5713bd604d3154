#!/bin/sh
# mypy --strict over all code that is typed: the engine for the oldest Python of a device; what runs in Ansible, scripts and
# the tests' support for the controller's. The collection is found by the name it has when it is installed.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
export PATH
plugins=ansible_collections.plantops.imaging.plugins

mkdir -p build/types/ansible_collections/plantops
ln -sfn "$PWD" build/types/ansible_collections/plantops/imaging

mypy --strict --python-version 3.8 -p engine -p settings
MYPYPATH=build/types mypy --strict --python-version 3.11 --namespace-packages --explicit-package-bases \
    -p $plugins.modules -p $plugins.action -p $plugins.callback -p $plugins.connection -p $plugins.filter -p $plugins.lookup -p $plugins.plugin_utils \
    -m $plugins.module_utils._arguments
MYPYPATH=tests:plugins/module_utils:scripts mypy --strict --python-version 3.11 --namespace-packages --explicit-package-bases scripts tests/support
