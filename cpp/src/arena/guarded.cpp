// See guarded.h.
#include "arena/guarded.h"

#include "os/memory.h"

namespace hz3 {

std::size_t bytes_of_tables(const std::size_t* bytes, unsigned count) {
  std::size_t total = (count - 1) * kGuardBytes;
  for (unsigned i = 0; i < count; ++i) total += bytes[i];
  return total;
}

bool map_tables(const std::size_t* bytes, char** tables, unsigned count) {
  const std::size_t total = bytes_of_tables(bytes, count);
  void* start =
      kChecked ? reserve_guarded(total, kChunkBytes) : os::map(total, os::Mapping::kSparse);
  if (start == nullptr) return false;
  char* next = static_cast<char*>(start);
  for (unsigned i = 0; i < count; ++i) {
    tables[i] = next;
    next += bytes[i] + kGuardBytes;
  }
  for (unsigned i = 0; kChecked && i < count; ++i) {
    if (os::commit(tables[i], bytes[i])) continue;
    unmap_tables(bytes, tables, count);
    return false;
  }
  return true;
}

void unmap_tables(const std::size_t* bytes, char* const* tables, unsigned count) {
  os::unmap(tables[0] - kGuardBytes, bytes_of_tables(bytes, count) + 2 * kGuardBytes);
}

void* reserve_guarded(std::size_t bytes, std::size_t alignment) {
  auto* range = static_cast<char*>(os::reserve(bytes + 2 * kGuardBytes, alignment));
  return range == nullptr ? nullptr : range + kGuardBytes;
}

}  // namespace hz3
