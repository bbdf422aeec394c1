// What happens when something is freed that is not a live block.
#pragma once

#include "base/compiler.h"

namespace hz3 {

enum class InvalidFree { kDouble, kInterior, kForeign, kUnallocated };

// One line on stderr, then abort() or, with on_invalid_free=warn, return: the caller must then
// leave the pointer alone. Any thread, also under a shard's lock.
HZ3_COLD void report_invalid_free(InvalidFree kind, const void* pointer);

}  // namespace hz3
