// Address space for the allocator's own tables.
//
// In the checked build something inaccessible lies before and behind each of them, so that whoever
// runs past the end of a neighbour, be it the program or a table, is stopped at once by SIGSEGV.
// The other build has the tables side by side. Any thread, no state.
#pragma once

#include <cstddef>

#include "base/compiler.h"
#include "geometry/constants.h"

namespace hz3 {

inline constexpr std::size_t kGuardBytes = kChecked ? kChunkBytes : 0;

// Zeroed memory for `count` tables one after the other, each with guards around it; all sizes are
// multiples of kChunkBytes. Fills in where the tables start; those of one call can be given back
// together. False: no memory.
bool map_tables(const std::size_t* bytes, char** tables, unsigned count);
void unmap_tables(const std::size_t* bytes, char* const* tables, unsigned count);

// From the start of the first table to the end of the last.
std::size_t bytes_of_tables(const std::size_t* bytes, unsigned count);

// os::reserve with guards that stay when all of it is committed.
void* reserve_guarded(std::size_t bytes, std::size_t alignment);

}  // namespace hz3
