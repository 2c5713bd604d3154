#!/bin/sh
# All linters and all tests but the long ones. What a linter finds at once comes first; the slow linters run beside the
# tests, at a lower priority. Tests run in several processes, each file in one; those that need the machine's lists
# (its disks, its page cache) for themselves come last, alone.
set -eu
cd "$(dirname "$0")/.."
WORKERS="${WORKERS:-2}"
pytest=".venv/bin/python -m pytest"
mkdir -p build

scripts/lint.sh ruff types yamllint changelog sentences documents
(nice -n 5 scripts/lint.sh collection-docs ansible-lint sanity >build/lint.log 2>&1 && echo 0 || echo 1) >build/lint.status &
lint=$!
trap 'kill $lint 2>/dev/null || true' EXIT

status=0
$pytest -n "$WORKERS" --dist loadfile -m "not long and not alone" tests || status=$?
$pytest -m "alone and not long" tests || status=$?
wait "$lint"
cat build/lint.log
[ "$(cat build/lint.status)" = 0 ] || status=1
exit "$status"
