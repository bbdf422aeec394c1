// Boot of the arena. One thread, once.
#include "arena/arena.h"

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

std::size_t table_bytes(std::size_t pages, std::size_t segments) {
  const std::size_t tags = align_up(pages * sizeof(Tag), kChunkBytes);
  const std::size_t spans = align_up(pages * sizeof(Span*), kChunkBytes);
  return tags + spans + align_up(segments * sizeof(Segment), kChunkBytes);
}

bool try_boot(std::size_t bytes) {
  const std::size_t pages = bytes >> kPageShift;
  const std::size_t segments = bytes >> kSegmentShift;
  const std::size_t tables_bytes = table_bytes(pages, segments);
  auto* tables = static_cast<char*>(os::map(tables_bytes, os::Mapping::kSparse));
  if (tables == nullptr) return false;
  void* base = os::reserve(bytes, kSegmentBytes);
  if (base == nullptr) {
    os::unmap(tables, tables_bytes);
    return false;
  }
  if (kChecked && !ledger.boot(bytes)) {
    os::unmap(base, bytes);
    os::unmap(tables, tables_bytes);
    return false;
  }
  // Small blocks scattered over huge pages would keep whole ones resident.
  os::allow_huge_pages(base, bytes, false);
  arena.tag_origin = reinterpret_cast<std::uintptr_t>(tables) -
                     (reinterpret_cast<std::uintptr_t>(base) >> kPageShift) * sizeof(Tag);
  tables += align_up(pages * sizeof(Tag), kChunkBytes);
  arena.spans = reinterpret_cast<Span**>(tables);
  tables += align_up(pages * sizeof(Span*), kChunkBytes);
  arena.segments = reinterpret_cast<Segment*>(tables);
  arena.table_bytes = tables_bytes;
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
