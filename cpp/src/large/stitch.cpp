// Stitching: a new large block gets the pages of freed ones, moved under it by the kernel.
//
// When no freed range is long enough by itself, the resident pages of shorter ones still are the
// cheapest memory there is: moving the page tables of a mebibyte costs a fiftieth of faulting its
// pages in and zeroing them, and what is not faulted in again need not be resident twice.
//
// The kernel moves pieces of one mapping only, and a moved piece stays a mapping of its own. Where
// one may begin is a seam, noted per chunk. Seams are bounded in number, since the kernel bounds
// mappings, and vanish when a range is given back (LargeHeap::purge_range).
//
// Under the lock of LargeHeap.
#include <cstring>

#include "base/bits.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// Shorter pieces are not worth a system call and a seam.
constexpr std::size_t kPieceChunks = 8;
// Each seam may be a mapping; Linux allows a process 65,530 unless told otherwise.
constexpr std::size_t kMostSeams = 16'384;
// Freed ranges looked at for one block.
constexpr unsigned kSources = 64;
// The kernel may have split a mapping where no seam is known; but one too old moves nothing.
constexpr unsigned kRefusals = 2;

}  // namespace

void LargeHeap::add_seam(std::size_t chunk) {
  if (chunk >= region_chunks() || seams_[chunk]) return;
  seams_[chunk] = true;
  ++seam_count_;
}

// Inside the range only: what lies on either side of its ends may still differ.
void LargeHeap::forget_seams(const Range* range) {
  for (std::size_t i = 1; i < range->chunks; ++i) {
    bool& seam = seams_[range->first_chunk + i];
    if (seam) --seam_count_;
    seam = false;
  }
}

bool LargeHeap::has_seams(const Range* range) const {
  return first_seam(range->first_chunk, range->chunks) < range->chunks;
}

// Chunks from `chunk` on, at most `most`, that lie in one mapping.
std::size_t LargeHeap::first_seam(std::size_t chunk, std::size_t most) const {
  std::size_t length = 1;
  while (length < most && !seams_[chunk + length]) ++length;
  return length;
}

bool LargeHeap::move_piece(std::size_t from, std::size_t to, std::size_t chunks) {
  if (!os::move_pages(address_of(from), address_of(to), chunks << kChunkShift)) return false;
  add_seam(from);
  add_seam(from + chunks);
  add_seam(to);
  add_seam(to + chunks);
  return true;
}

// All of it, mapping by mapping. False when the kernel moves nothing at all: nothing has changed.
// `*copied` when a later piece had to be copied, so that `from` does not read as zero.
bool LargeHeap::move_chunks(std::size_t from, std::size_t to, std::size_t chunks, bool* copied) {
  *copied = false;
  for (std::size_t done = 0; done < chunks;) {
    const std::size_t piece = first_seam(from + done, chunks - done);
    if (!move_piece(from + done, to + done, piece)) {
      if (done == 0) return false;
      std::memcpy(address_of(to + done), address_of(from + done), piece << kChunkShift);
      *copied = true;
    }
    done += piece;
  }
  return true;
}

// Cuts the first piece worth moving, at most `most` chunks long, out of a dirty range that is in no
// index; what lies around it goes back. nullptr when there is none: all has gone back.
Range* LargeHeap::cut_piece(Range* range, std::size_t most) {
  std::size_t start = 0;
  std::size_t length = 0;
  while (start < range->chunks) {
    length = first_seam(range->first_chunk + start, range->chunks - start);
    if (length >= kPieceChunks) break;
    start += length;
  }
  if (start >= range->chunks || (start != 0 && !split(range, start))) {
    insert_free(range);
    return nullptr;
  }
  if (start != 0) {
    Range* piece = range->above;
    insert_free(range);
    range = piece;
  }
  length = min_of(length, most);
  if (length < range->chunks) {
    if (!split(range, length)) {
      insert_free(range);
      return nullptr;
    }
    insert_free(range->above);
  }
  return range;
}

// Moves pages of dirty ranges, the oldest first, to the front of `target`, which was clean and is
// marked as used by now. Returns the bytes at its front that now hold something old.
std::size_t LargeHeap::stitch(const Range* target) {
  if (knob(Knob::kLargeStitch) == 0 || target->chunks < kPieceChunks) return 0;
  std::size_t filled = 0;
  unsigned refused = 0;
  Range* source = oldest_;
  for (unsigned looks = 0; source != nullptr && looks < kSources; ++looks) {
    const std::size_t missing = target->chunks - filled;
    if (missing < kPieceChunks || seam_count_ > kMostSeams) break;
    Range* next = source->newer;
    remove_free(source);
    Range* piece = cut_piece(source, missing);
    if (piece == nullptr) {
      source = next;
      continue;
    }
    // The rest of this range, if any, follows in the order of age; it comes next.
    Range* rest = piece->above;
    const bool has_rest = rest != nullptr && rest->state == RangeState::kDirty;
    if (!move_piece(piece->first_chunk, target->first_chunk + filled, piece->chunks)) {
      insert_free(merge(piece));
      if (++refused == kRefusals) break;
      source = next;
      continue;
    }
    filled += piece->chunks;
    piece->state = RangeState::kClean;
    insert_free(merge(piece));
    source = has_rest ? rest : next;
  }
  if (filled != 0) {
    counters_.add(Counter::kLargeStitched);
    counters_.add(Counter::kLargeStitchedBytes, filled << kChunkShift);
  }
  return filled << kChunkShift;
}

}  // namespace hz3
