#!/bin/sh
# Makes a checkout ready: Debian packages (as root), the virtual environment with locked packages, and a link that lets
# ansible-playbook find this collection by name. Safe to run again; it does only what is missing.
set -eu
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV=.venv

say() { printf '%s\n' "setup: $*"; }

missing_packages() {
    # What only `make test-long` needs is large: a browser, a firmware.
    sed -e 's/#.*//' bindep.txt | awk -v long="${LONG:-}" 'NF && (long || !/ long\]/) {print $1}' | while read -r name; do
        state="$(dpkg-query -W -f='${Status}' "$name" 2>/dev/null || true)"
        [ "$state" = "install ok installed" ] || printf '%s ' "$name"
    done
}

if command -v dpkg-query >/dev/null 2>&1; then
    missing="$(missing_packages)"
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ]; then
        say "installing: $missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        # shellcheck disable=SC2086
        apt-get -qq -y --no-install-recommends install $missing >/dev/null
    elif [ -n "$missing" ]; then
        say "not root, so these packages stay missing and tests that need them will fail: $missing"
    fi
else
    say "no dpkg here: install what bindep.txt lists by hand"
fi

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$PYTHON is too old: ansible-core 2.19 on the controller needs Python 3.11 or newer (set PYTHON=...)"
    exit 1
fi

lock="$(cat requirements/dev.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$VENV/.ready" 2>/dev/null || true)" != "$lock" ]; then
    say "creating $VENV with locked packages"
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
    printf '%s\n' "$lock" > "$VENV/.ready"
fi

collections="$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/ansible_collections/plantops"
mkdir -p "$collections"
ln -sfn "$PWD" "$collections/imaging"
# Tests start the engine a thousand times, often where Python may not write bytecode: 0.3 s of the processor each.
"$VENV/bin/python" -m compileall -q plugins tests/support
say "ready"
