#!/bin/sh
# All linters and all tests but the long ones. What a linter finds at once comes first; the slow linters run beside the
# tests, at a lower priority. Tests run in several processes, each file in one, the longest files first; many tests wait
# for servers, so that there are more processes than processors. Those that need the machine's lists (its disks, its page
# cache) for themselves come last, alone. build/times.txt says where the time went.
set -eu
cd "$(dirname "$0")/.."
WORKERS="${WORKERS:-3}"
pytest=".venv/bin/python -m pytest"
started="$(date +%s)"
mkdir -p build

took() { printf 'test: %s took until second %d\n' "$1" "$(($(date +%s) - started))"; }

scripts/lint.sh ruff types yamllint changelog sentences documents
took "the fast linters"
(nice -n 5 scripts/lint.sh collection-docs ansible-lint sanity >build/lint.log 2>&1 && echo 0 || echo 1) >build/lint.status &
lint=$!
trap 'kill $lint 2>/dev/null || true' EXIT

status=0
$pytest -n "$WORKERS" --dist loadfile --no-loadscope-reorder --junitxml=build/tests.xml -m "not long and not alone" tests || status=$?
took "the tests in $WORKERS processes"
$pytest -m "alone and not long" tests || status=$?
took "the tests that run alone"
wait "$lint"
took "the slow linters, which ran beside them,"
cat build/lint.log
[ "$(cat build/lint.status)" = 0 ] || status=1
.venv/bin/python scripts/test-times.py >build/times.txt || status=1
exit "$status"
