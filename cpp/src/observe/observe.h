// One observation: where resident memory sits. See hz3.h for what it promises.
//
// Any thread, also in a signal handler, at exit and in a child of fork: works in a mapping of its
// own and keeps little on the stack.
#pragma once

#include <cstddef>

#include "hz3/hz3.h"

namespace hz3 {

// HZ3_OK or the reason of the refusal, as hz3_observe() and hz3_observe_write(). The allocator has
// been booted.
int observe(hz3_observation* whole, hz3_class_observation* classes, std::size_t class_count);
int observe_to(int file);

}  // namespace hz3
