#!/bin/sh
# ansible-test sanity on a copy of the committed and new files, in the directory layout that it demands. A version of
# ansible-core as the first argument (scripts/sanity.sh 2.16, or "oldest" and "newest" of the README's) takes that release
# instead of the one of .venv, in an environment of build/versions; further arguments go to ansible-test.
set -eu
cd "$(dirname "$0")/.."
ROOT="$PWD"
BIN="$ROOT/.venv/bin"
place="$ROOT/build"
case "${1:-}" in
[0-9]*.[0-9]* | oldest | newest)
    BIN="$(cd tests && "$BIN/python" -m support.versions "$1")"
    place="$ROOT/build/sanity-$1"
    shift
    ;;
esac
PATH="$BIN:$PATH"
export PATH
copy="$place/ansible_collections/plantops/imaging"
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$copy"
"$BIN/python" scripts/pip_bootstrap.py
cd "$copy"
# The shims of pyenv answer for versions that are not active and then fail; links to what is there really are seen as such.
if command -v pyenv >/dev/null 2>&1; then
    pythons="$place/pythons"
    rm -rf "$pythons"
    mkdir -p "$pythons"
    for binary in "$(pyenv root)"/versions/*/bin/python3.*[0-9]; do
        [ -e "$binary" ] && ln -sf "$binary" "$pythons/"
    done
    PATH="$BIN:$pythons:$(printf '%s' "$PATH" | tr ':' '\n' | grep -v "^$(pyenv root)/shims" | paste -sd:)"
fi
# The links and the version control of the working copy must not be seen: the copy is a tree of its own.
git init -q . && git add -A
ansible-test sanity --local --color no --requirements "$@"
