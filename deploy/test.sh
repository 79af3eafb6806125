#!/usr/bin/env bash
# Sets everything up on a fresh Debian and runs all tests: style, types, layers, then pytest.
#   deploy/test.sh [PYTEST ARGUMENTS]   e.g. deploy/test.sh tests/compose -k merge
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS=0
say() { printf '\n== %s  [%d s]\n' "$*" "$SECONDS"; }

say "Setting up"
deploy/setup.sh --test
bin=.venv/bin

say "Style: ruff"
$bin/ruff format --check --quiet . || { echo "run: .venv/bin/ruff format ." >&2; exit 1; }
$bin/ruff check --quiet .
say "Types: mypy"
$bin/mypy
say "Layers: import-linter"
$bin/lint-imports --no-logo 2>/dev/null || $bin/lint-imports
say "Tests: pytest"
$bin/python -m pytest -q --durations=10 "$@"
say "All passed"
