#!/usr/bin/env bash
# Renews the lock files in deploy/locks (all Python packages, also transitive ones, with hashes), then runs all tests
# with these versions. The bounds are in pyproject.toml.
#   deploy/lock.sh           the newest versions that the bounds allow
#   deploy/lock.sh --check   changes nothing; fails when the lock files do not match pyproject.toml
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh --test

# compile NAME [UV ARGUMENTS]: writes the lock file NAME, for every Python and architecture, so that all hosts agree.
compile() {
    local target=$1; shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-sources "$@" pyproject.toml deploy/locks/build.in --output-file "$target"
}

if [[ "${1:-}" == --check ]]; then
    scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
    cp deploy/locks/*.txt "$scratch"
    compile "$scratch/product.txt"; compile "$scratch/test.txt" --extra test
    for name in product test; do
        diff -q "deploy/locks/$name.txt" "$scratch/$name.txt" >/dev/null ||
            { echo "lock: deploy/locks/$name.txt does not fit pyproject.toml; run deploy/lock.sh" >&2; exit 1; }
    done
    exit 0
fi
compile deploy/locks/product.txt --upgrade
# the tests use the same versions as the product
compile deploy/locks/test.txt --upgrade --extra test --constraint deploy/locks/product.txt
exec deploy/test.sh
