// Ranges of the large region: runs of 64 KiB chunks that are one block, or free.
//
//   region = used ranges (leaving ones included) + dirty ranges (freed, maybe resident)
//            + clean ranges (read as zero) + the part that was never used
// Every chunk below the frontier belongs to exactly one range; neighbours in address order are
// linked, so freed ranges of one state grow together. Protected by the lock of LargeHeap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "geometry/constants.h"

namespace hz3 {

// Blocks of a mebibyte and more lie on a grid of an eighth to a sixteenth of their size, so that
// what stitching cuts out of them stays long. The rest of the last cell is address space only,
// nobody touches it.
inline constexpr std::size_t kGridBlockChunks = 16;

constexpr std::size_t grid_of(std::size_t chunks) {
  return chunks < kGridBlockChunks ? 1 : std::size_t{1} << (log2_floor(chunks) - 3);
}

constexpr std::size_t chunks_of(std::size_t size) {
  const std::size_t chunks = align_up(size, kChunkBytes) >> kChunkShift;
  return align_up(chunks, grid_of(chunks));
}

// What the start of a block of this size is a multiple of, in chunks: its grid, or a huge page if
// that is less, since the region itself starts on no more.
constexpr std::size_t grid_alignment(std::size_t chunks) {
  return min_of(grid_of(chunks), kSegmentBytes >> kChunkShift);
}

// kLeaving: freed, and its pages are being given back without the lock.
enum class RangeState : std::uint8_t { kUsed, kLeaving, kDirty, kClean };

struct Range {
  Range* below = nullptr;  // neighbour in address order
  Range* above = nullptr;
  Range* next = nullptr;  // in its list of free ranges, or in the pool of descriptors
  Range* previous = nullptr;
  Range* newer = nullptr;  // dirty ranges by the time they were freed
  Range* older = nullptr;
  std::size_t first_chunk = 0;
  std::size_t chunks = 0;
  std::size_t asked_bytes = 0;  // of a used one; known to the checked build alone
  std::uint64_t freed_ns = 0;
  RangeState state = RangeState::kClean;
};

// Free ranges of one state, by size: eight lists per doubling.
class RangeIndex {
 public:
  void insert(Range* range);
  void remove(Range* range);

  // A range that holds `chunks` from an aligned start on: the smallest of the first few that fit.
  Range* find(std::size_t chunks, std::size_t alignment_chunks) const;

 private:
  static constexpr unsigned kLists = 26 * 8;
  static constexpr unsigned kWords = (kLists + 63) / 64;
  static constexpr unsigned kLooks = 16;

  static unsigned list_of(std::size_t chunks);

  Range* lists_[kLists] = {};
  std::uint64_t nonempty_[kWords] = {};
};

}  // namespace hz3
