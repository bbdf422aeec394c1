// The allocator's own mappings, and what the kernel says of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena/metadata.h"

namespace hz3 {

// Resident bytes of everything that is neither blocks nor free pages. Needs all locks.
std::size_t resident_metadata_bytes();

struct KernelFigures {
  std::uint64_t process_bytes;  // resident memory of the process; 0 when it cannot be read
  std::uint64_t heap_bytes;     // of these, in mappings of the allocator
};

// Reads /proc/self/smaps through `buffer`, which has room for a few lines. Needs all locks.
KernelFigures read_kernel_figures(char* buffer, std::size_t buffer_bytes);

}  // namespace hz3
