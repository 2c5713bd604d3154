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
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$copy"
python scripts/pip_bootstrap.py
cd "$copy"
# The shims of pyenv answer for versions that are not active and then fail; links to what is there really are seen as such.
if command -v pyenv >/dev/null 2>&1; then
    pythons="$ROOT/build/pythons"
    rm -rf "$pythons"
    mkdir -p "$pythons"
    for binary in "$(pyenv root)"/versions/*/bin/python3.*[0-9]; do
        [ -e "$binary" ] && ln -sf "$binary" "$pythons/"
    done
    PATH="$ROOT/.venv/bin:$pythons:$(printf '%s' "$PATH" | tr ':' '\n' | grep -v "^$(pyenv root)/shims" | paste -sd:)"
fi
# The links and the version control of the working copy must not be seen: the copy is a tree of its own.
git init -q . && git add -A
ansible-test sanity --local --color no --requirements "$@"
