#!/bin/sh
# ansible-test sanity on a copy of the committed and new files, in the directory layout that it demands.
set -eu
cd "$(dirname "$0")/.."
ROOT="$PWD"
PATH="$ROOT/.venv/bin:$PATH"
export PATH
copy="$ROOT/build/ansible_collections/plantops/imaging"
rm -rf "$copy"
mkdir -p "$copy"
git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' name; do
    if [ -e "$name" ]; then printf '%s\0' "$name"; fi
done 2>/dev/null | tar --null -cf - -T - | tar -xf - -C "$copy"
scripts/pip_bootstrap.py
cd "$copy"
# The links and the version control of the working copy must not be seen: the copy is a tree of its own.
git init -q . && git add -A
ansible-test sanity --local --color no --requirements "$@"
