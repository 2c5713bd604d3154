#!/bin/sh
# Every linter of the project; stops at the first that finds something. With names of steps only those run:
# scripts/lint.sh ruff sentences. The hooks of .pre-commit-config.yaml call it so.
set -eu
cd "$(dirname "$0")/.."
BIN="$PWD/.venv/bin"
PATH="$BIN:$PATH"
export PATH

STEPS="ruff types yamllint changelog collection-docs sentences documents ansible-lint sanity"

run_step() {
    printf '%s\n' "lint: $1"
    case "$1" in
    ruff)
        ruff check .
        ruff format --check .
        ;;
    types) scripts/types.sh ;;
    yamllint) yamllint --strict . ;;
    changelog) antsibull-changelog lint ;;
    collection-docs)
        antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all --disallow-unknown-collection-refs .
        ;;
    sentences) python scripts/sentences.py ;;
    documents) python scripts/generate-docs.py --check ;;
    ansible-lint) ansible-lint --offline --profile production --strict ;;
    sanity) scripts/sanity.sh ;;
    *)
        printf '%s\n' "lint: there is no step $1; the steps are: $STEPS" >&2
        exit 2
        ;;
    esac
}

# shellcheck disable=SC2086  # each name is an argument of its own
[ "$#" -gt 0 ] || set -- $STEPS
for step in "$@"; do
    run_step "$step"
done
