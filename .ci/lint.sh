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
# From elsewhere, so that the installed package counts and not the source tree.
stub_exceptions=$PWD/.ci/stub_exceptions.txt
cd "$CI_WORK" && check python -m mypy.stubtest --allowlist "$stub_exceptions" hz3py._core
cd "$OLDPWD" || exit 1
check clang-format-14 --dry-run --Werror "${native[@]}"

echo "lint: failed: ${failed[*]:-none}"
((${#failed[@]} == 0))
