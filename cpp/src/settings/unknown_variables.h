// HZ3_* variables that set nothing: most often a knob's name, misspelt.
#pragma once

#include <cstddef>

namespace hz3 {

// The variable that `name` was probably meant to be, or nullptr when none is near enough: at most a
// third of the letters behind HZ3_ differ. Case does not count. The name begins with HZ3_ and need
// not be terminated.
const char* nearest_variable(const char* name, std::size_t length);

// Writes one line to stderr about the variable at `entry` of the environment, which is no knob;
// nothing if its name belongs to hz3 otherwise, stood in the environment before, or is one of too
// many. Called by the thread that boots the allocator, under the lock of booting.
void report_unknown_variable(char** entry);

}  // namespace hz3
