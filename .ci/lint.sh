#!/usr/bin/env bash
# Formatters and linters, in the environment that tests.sh made.
set -uo pipefail
PATH="$CI_WORK/venv/bin:$PATH"

failed=()
check() {
  echo "-- ${*:1:3}"
  "$@" || failed+=("$1")
}

mapfile -t native < <(git ls-files -- '*.c' '*.cpp' '*.h' '*.hpp')
check ruff check .
check ruff format --check .
check mypy
check clang-format-14 --dry-run --Werror "${native[@]}"

echo "lint: failed: ${failed[*]:-none}"
((${#failed[@]} == 0))
