#!/bin/sh
# Every linter of the project; stops at the first that finds something.
set -eu
cd "$(dirname "$0")/.."
BIN="$PWD/.venv/bin"
PATH="$BIN:$PATH"
export PATH

step() { printf '%s\n' "lint: $*"; }

step ruff
ruff check .
ruff format --check .
step "mypy --strict"
scripts/types.sh
step yamllint
yamllint --strict .
step "changelog fragments"
antsibull-changelog lint
step "collection documentation"
antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all --disallow-unknown-collection-refs .
step sentences
python scripts/sentences.py
step "documents made from the source"
python scripts/generate-docs.py --check
step "ansible-lint (production profile)"
ansible-lint --offline --profile production --strict
scripts/sanity.sh
