# Unit tests of the allocator's inner parts. They link the allocator's objects, not the interposed
# malloc: libc stands before the archive, so the archive's malloc is never asked for.
add_custom_target(units)
function(hz3_unit_test name)
  add_executable(${name} ${HZ3_TESTS_DIR}/native/units/${name}.cpp ${ARGN})
  target_link_libraries(${name} PRIVATE hz3_test_options stdc++ c hz3_static)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${HZ3_PROGRAM_DIR})
  add_dependencies(units ${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "quick;sanitize" TIMEOUT 600)
endfunction()

# The double of the system layer defines all of os/memory.h, so that the archive's is left out.
set(HZ3_FAKE_OS ${HZ3_TESTS_DIR}/native/units/fake_os.cpp)

hz3_unit_test(unit_geometry)
hz3_unit_test(unit_bitmap)
hz3_unit_test(unit_lock)
hz3_unit_test(unit_magazines ${HZ3_FAKE_OS})
hz3_unit_test(unit_page_heap ${HZ3_FAKE_OS})
hz3_unit_test(unit_pack ${HZ3_FAKE_OS})
hz3_unit_test(unit_active_set ${HZ3_FAKE_OS})
hz3_unit_test(unit_quarantine ${HZ3_FAKE_OS})
hz3_unit_test(unit_retention ${HZ3_FAKE_OS})
hz3_unit_test(unit_central ${HZ3_FAKE_OS})
hz3_unit_test(unit_large ${HZ3_FAKE_OS})
hz3_unit_test(unit_faults ${HZ3_FAKE_OS})
