# The programs, by subject. Sources lie beside the pytest file that drives them.

# API: outcomes of calls.
hz3_test_program(api_table
  ${HZ3_TESTS_DIR}/api/api_table.cpp
  ${HZ3_TESTS_DIR}/api/c_rows.cpp
  ${HZ3_TESTS_DIR}/api/realloc_rows.cpp
  ${HZ3_TESTS_DIR}/api/aligned_rows.cpp
  ${HZ3_TESTS_DIR}/api/operator_rows.cpp
  ${HZ3_TESTS_DIR}/api/libc_rows.cpp)
hz3_test_program(absurd_sizes ${HZ3_TESTS_DIR}/api/absurd_sizes.cpp)
hz3_ctest(absurd_sizes LABELS quick COMMAND absurd_sizes)

# Model: random programs against a model of the heap.
hz3_direct_program(model_random
  ${HZ3_TESTS_DIR}/model/model_random.cpp
  ${HZ3_TESTS_DIR}/model/runner.cpp
  ${HZ3_TESTS_DIR}/model/shadow.cpp
  ${HZ3_TESTS_DIR}/model/draw.cpp)
foreach(profile small app edges mixed)
  hz3_ctest(model_${profile} LABELS quick sanitize
    COMMAND model_random --profile ${profile} --threads 4 --ops 200000)
endforeach()
hz3_ctest(model_large LABELS quick sanitize
  COMMAND model_random --profile large --threads 2 --ops 4000 --slots 100)
hz3_ctest(model_turning_knobs LABELS quick sanitize
  COMMAND model_random --turn-knobs --threads 4 --ops 200000 --slots 1000)
hz3_ctest(model_long LABELS slow COMMAND model_random --threads 8 --ops 100000000)

# Threads: coming, going, and being taken down.
foreach(program thread_churn thread_many thread_free_only thread_routes thread_teardown
        thread_audits)
  hz3_direct_program(${program} ${HZ3_TESTS_DIR}/native/threads/${program}.cpp)
endforeach()
# Sanitizers keep books about threads: limits on resident memory hold without them.
set(no_limit --limit-kib 1000000)
hz3_ctest(thread_churn LABELS quick COMMAND thread_churn)
hz3_ctest(thread_churn_unlimited LABELS quick sanitize
  COMMAND thread_churn --cycles 1000 ${no_limit})
hz3_ctest(thread_many LABELS quick sanitize COMMAND thread_many --limit-kib-per-thread 10000)
hz3_ctest(thread_free_only LABELS quick sanitize COMMAND thread_free_only --rounds 40 ${no_limit})
hz3_ctest(thread_routes LABELS quick sanitize COMMAND thread_routes --rounds 50000)
foreach(route 0 1 2)
  hz3_ctest(thread_audits_route_${route} LABELS quick sanitize
    COMMAND thread_audits --route ${route} --rounds 5000)
endforeach()
hz3_test_module(counters_at_exit MODULE ${HZ3_TESTS_DIR}/native/threads/counters_at_exit.cpp)
hz3_ctest(thread_teardown LABELS quick sanitize COMMAND thread_teardown --threads 200 ${no_limit})
hz3_test_program(early_thread ${HZ3_TESTS_DIR}/native/threads/early_thread.cpp)
hz3_ctest(early_thread LABELS quick COMMAND early_thread)

# Limits: out of memory and back.
hz3_test_program(out_of_memory ${HZ3_TESTS_DIR}/native/limits/out_of_memory.cpp)
hz3_test_program(small_arena ${HZ3_TESTS_DIR}/native/limits/small_arena.cpp)
foreach(case churn crowd full large)
  hz3_ctest(small_arena_${case} LABELS quick COMMAND small_arena ${case})
  hz3_ctest_environment(small_arena_${case} HZ3_ARENA_BYTES=64M)
endforeach()

# Introspection: who serves a symbol, and what the reports say.
hz3_test_program(symbols ${HZ3_TESTS_DIR}/native/introspection/symbols.cpp)
hz3_test_program(own_api ${HZ3_TESTS_DIR}/native/introspection/own_api.cpp)
hz3_test_program(reports ${HZ3_TESTS_DIR}/native/introspection/reports.cpp)

# Fork.
hz3_test_program(fork_threads ${HZ3_TESTS_DIR}/fork/fork_threads.cpp)
hz3_ctest(fork_threads LABELS quick COMMAND fork_threads --forks 200 --threads 4)
hz3_test_program(fork_in_signal ${HZ3_TESTS_DIR}/fork/fork_in_signal.cpp)
hz3_test_program(spawn_loop ${HZ3_TESTS_DIR}/fork/spawn_loop.cpp)
hz3_test_module(fork_handlers_library SHARED ${HZ3_TESTS_DIR}/fork/fork_handlers_library.cpp)
hz3_test_program(fork_handlers ${HZ3_TESTS_DIR}/fork/fork_handlers.cpp)
target_link_libraries(fork_handlers PRIVATE fork_handlers_library)

# Preload: the edges of a process's life.
hz3_test_program(first_op ${HZ3_TESTS_DIR}/preload/first_op.cpp)
hz3_test_program(life_cycle ${HZ3_TESTS_DIR}/preload/life_cycle.cpp)
hz3_test_program(observed ${HZ3_TESTS_DIR}/preload/observed.cpp)
hz3_test_program(open_modules ${HZ3_TESTS_DIR}/preload/open_modules.cpp)
hz3_test_program(exit_report ${HZ3_TESTS_DIR}/preload/exit_report.cpp)
hz3_test_module(module MODULE ${HZ3_TESTS_DIR}/preload/module.cpp)

# Abuse: each must be stopped.
hz3_test_program(abuse ${HZ3_TESTS_DIR}/abuse/abuse.cpp)
hz3_test_program(abort_handler ${HZ3_TESTS_DIR}/abuse/abort_handler.cpp)
hz3_test_program(overrun_mapping ${HZ3_TESTS_DIR}/abuse/overrun_mapping.cpp)

# Knobs: what turning one does to the counters.
hz3_test_module(knob_scenarios SHARED ${HZ3_TESTS_DIR}/native/knobs/scenarios.cpp)
hz3_test_program(knob_effects ${HZ3_TESTS_DIR}/native/knobs/knob_effects.cpp)
target_link_libraries(knob_effects PRIVATE knob_scenarios)
