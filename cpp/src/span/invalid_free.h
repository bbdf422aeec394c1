// What happens when something is freed that is not a live block.
#pragma once

#include <cstddef>

#include "base/compiler.h"

namespace hz3 {

// Each has a code of its own in its message; SECURITY.md lists them.
enum class InvalidFree {
  kForeign,         // E1
  kUnallocated,     // E2
  kMisaligned,      // E3
  kInterior,        // E4
  kDouble,          // E5
  kWrongSize,       // E6: the checked build alone, like those that follow
  kWrongAlignment,  // E7
  kOverflow,        // E8
};

// The figures of a message; 0 where unknown.
struct BlockFacts {
  std::size_t block_bytes = 0;
  std::size_t offset_bytes = 0;  // of the pointer in the block
  std::size_t said = 0;          // size or alignment that the caller named
};

// One line on stderr, then abort() or, with on_invalid_free=warn, return: the caller must then
// leave the pointer alone. Any thread, also under a shard's lock.
HZ3_COLD void report_invalid_free(InvalidFree kind, const void* pointer, BlockFacts facts = {});

// Reports a pointer into the block that starts at `start`.
void report_inside(const void* pointer, const void* start, std::size_t block_bytes);

struct Span;

// Reports a pointer into the span that is not the start of one of its blocks.
HZ3_COLD void report_no_block(const Span& span, const void* pointer);

}  // namespace hz3
