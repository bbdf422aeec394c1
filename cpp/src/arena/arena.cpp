// Boot of the arena. One thread, once.
#include "arena/arena.h"

#include "arena/guarded.h"
#include "arena/ledger.h"
#include "arena/segment.h"
#include "base/bits.h"
#include "os/memory.h"

namespace hz3 {
namespace {

constexpr std::size_t kSmallestArena = 16 * kSegmentBytes;
constexpr std::size_t kLargestDefault = std::size_t{4} << 40;
constexpr std::size_t kSmallestDefault = std::size_t{64} << 30;

std::size_t default_bytes() {
  const std::size_t four_times = std::bit_ceil(os::physical_bytes()) * 4;
  return min_of(max_of(four_times, kSmallestDefault), kLargestDefault);
}

bool try_boot(std::size_t bytes) {
  const std::size_t pages = bytes >> kPageShift;
  const std::size_t segments = bytes >> kSegmentShift;
  const std::size_t table_bytes[] = {align_up(pages * sizeof(Tag), kChunkBytes),
                                     align_up(pages * sizeof(Span*), kChunkBytes),
                                     align_up(segments * sizeof(Segment), kChunkBytes)};
  char* tables[3];
  if (!map_tables(table_bytes, tables, 3)) return false;
  void* base = os::reserve(bytes, kSegmentBytes);
  if (base == nullptr) {
    unmap_tables(table_bytes, tables, 3);
    return false;
  }
  if (kChecked && !ledger.boot(bytes)) {
    os::unmap(base, bytes);
    unmap_tables(table_bytes, tables, 3);
    return false;
  }
  // Small blocks scattered over huge pages would keep whole ones resident.
  os::allow_huge_pages(base, bytes, false);
  arena.tag_origin = reinterpret_cast<std::uintptr_t>(tables[0]) -
                     (reinterpret_cast<std::uintptr_t>(base) >> kPageShift) * sizeof(Tag);
  arena.spans = reinterpret_cast<Span**>(tables[1]);
  arena.segments = reinterpret_cast<Segment*>(tables[2]);
  arena.table_bytes = bytes_of_tables(table_bytes, 3);
  arena.base = reinterpret_cast<std::uintptr_t>(base);
  arena.bytes = bytes;
  return true;
}

}  // namespace

constinit Arena arena;

bool boot_arena(std::size_t wanted_bytes) {
  std::size_t bytes = wanted_bytes != 0 ? wanted_bytes : default_bytes();
  // Under RLIMIT_AS the program needs address space of its own, and so do large blocks, which get
  // mappings then.
  const std::size_t limit = os::address_space_limit();
  if (limit != SIZE_MAX) bytes = min_of(bytes, limit / 8 * 3);
  bytes = max_of(align_down(bytes, kSegmentBytes), kSmallestArena);
  while (!try_boot(bytes)) {
    if (bytes == kSmallestArena) return false;
    bytes = max_of(align_down(bytes / 4, kSegmentBytes), kSmallestArena);
  }
  return true;
}

}  // namespace hz3
