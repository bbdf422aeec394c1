#!/usr/bin/env bash
# The native tests that fit a sanitizer, built and run under each of them, and as shipped.
set -uo pipefail
PATH="$CI_WORK/venv/bin:$PATH" # cmake, ctest and ninja of the test extra

failed=()
lines=()
for preset in release asan ubsan tsan; do
  build=$CI_WORK/$preset
  echo "-- $preset"
  if cmake --preset "$preset" -B "$build" >"$build.log" && cmake --build "$build" >>"$build.log"; then
    ctest --preset "$preset" --test-dir "$build" --parallel 2 2>&1 | tee "$build.ctest" || failed+=("$preset")
    lines+=("$preset $(grep -Eo '[0-9]+% tests passed.*' "$build.ctest" || true)")
  else
    tail -n 40 "$build.log"
    failed+=("$preset does not build")
  fi
done

# The checked build comes with `release`. Its test programs are the same, preloaded.
echo "-- checked"
checked=$CI_WORK/release/libhz3-checked.so
programs=$CI_WORK/release/tests/native/programs
runs=("model_random --profile mixed --threads 4 --ops 300000" "model_random --profile app --ops 200000"
  "own_api check_heap" "thread_audits --route 2" "thread_churn --cycles 4000")
for run in "${runs[@]}"; do
  read -ra words <<<"$run"
  LD_PRELOAD=$checked "$programs/${words[0]}" "${words[@]:1}" || failed+=("checked: $run")
done

IFS=';'
echo "native: failed: ${failed[*]:-none}; ${lines[*]:-}"
((${#failed[@]} == 0))
