// Stitching: a new large block gets the pages of freed ones, moved under it by the kernel.
//
// When no freed range is long enough by itself, the resident pages of shorter ones still are the
// cheapest memory there is: moving the page tables of a mebibyte costs a fiftieth of faulting its
// pages in and zeroing them, and what is not faulted in again need not be resident twice.
//
// The kernel moves pieces of one mapping only, and a moved piece stays a mapping of its own, as
// does a part that had huge pages. Where one may begin is a seam, noted per chunk. Seams are
// bounded in number, since the kernel bounds mappings, and vanish when a range is given back
// (LargeHeap::purge_range).
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
constexpr std::size_t kPieceChunks = 4;
// Each seam may be a mapping; Linux allows a process 65,530 unless told otherwise.
constexpr std::size_t kMostSeams = 16'384;
// Freed ranges looked at for one block.
constexpr unsigned kSources = 256;
// The kernel may have split a mapping where no seam is known; but one too old moves nothing.
constexpr unsigned kRefusals = 2;

}  // namespace

void LargeHeap::add_seam(std::size_t chunk) {
  if (chunk >= region_chunks() || seams_[chunk]) return;
  seams_[chunk] = true;
  ++seam_count_;
}

// These chunks are one mapping now. What lies on either side of them may still differ.
void LargeHeap::forget_seams(std::size_t chunk, std::size_t chunks) {
  for (std::size_t i = 1; i < chunks; ++i) {
    if (seams_[chunk + i]) --seam_count_;
    seams_[chunk + i] = false;
  }
}

bool LargeHeap::has_seams(const Range* range) const {
  return piece_length(range->first_chunk, range->chunks) < range->chunks;
}

// Chunks from `chunk` on, at most `most`, that lie in one mapping.
std::size_t LargeHeap::piece_length(std::size_t chunk, std::size_t most) const {
  std::size_t length = 1;
  while (length < most && !seams_[chunk + length]) ++length;
  return length;
}

// The kernel moves the setting for huge pages along with the pages and leaves the source its own,
// so both are without first.
bool LargeHeap::move_piece(std::size_t from, std::size_t to, std::size_t chunks) {
  offer_huge_pages(from, chunks, false);
  offer_huge_pages(to, chunks, false);
  if (!os::move_pages(address_of(from), address_of(to), chunks << kChunkShift)) return false;
  add_seam(from);
  add_seam(from + chunks);
  forget_seams(to, chunks);
  add_seam(to);
  add_seam(to + chunks);
  return true;
}

// All of it, mapping by mapping. False when the kernel moves nothing at all: nothing has changed.
// `*copied` when a later piece had to be copied, so that `from` does not read as zero.
bool LargeHeap::move_chunks(std::size_t from, std::size_t to, std::size_t chunks, bool* copied) {
  *copied = false;
  for (std::size_t done = 0; done < chunks;) {
    const std::size_t piece = piece_length(from + done, chunks - done);
    if (!move_piece(from + done, to + done, piece)) {
      if (done == 0) return false;
      std::memcpy(address_of(to + done), address_of(from + done), piece << kChunkShift);
      *copied = true;
    }
    done += piece;
  }
  return true;
}

// Cuts the first piece worth moving, at most `most` chunks long, out of a dirty range; the piece is
// in no index then. nullptr when there is none: the range is as it was.
Range* LargeHeap::cut_piece(Range* range, std::size_t most) {
  std::size_t start = 0;
  std::size_t length = 0;
  for (; start < range->chunks; start += length) {
    length = piece_length(range->first_chunk + start, range->chunks - start);
    if (length >= kPieceChunks) break;
  }
  if (start >= range->chunks) return nullptr;
  remove_free(range);
  Range* piece = range;
  if (start != 0) {
    const bool is_cut = split(range, start);
    insert_free(range);
    if (!is_cut) return nullptr;
    piece = range->above;
  }
  length = min_of(length, most);
  if (length < piece->chunks) {
    if (!split(piece, length)) {
      insert_free(piece);
      return nullptr;
    }
    insert_free(piece->above);
  }
  return piece;
}

// Moves pages of dirty ranges, the oldest first, to the front of the `chunks` chunks from `chunk`
// on, which read as zero and belong to a used range. Returns the bytes at the front that now hold
// something old.
std::size_t LargeHeap::stitch(std::size_t chunk, std::size_t chunks) {
  if (knob(Knob::kLargeStitch) == 0) return 0;
  std::size_t filled = 0;
  unsigned refused = 0;
  Range* source = oldest_;
  Range* next = nullptr;  // when `source` is used up
  bool is_rest = false;
  for (unsigned looks = 0; source != nullptr && looks < kSources; ++looks) {
    const std::size_t missing = chunks - filled;
    if (missing < kPieceChunks || seam_count_ > kMostSeams) break;
    // The rest of a range goes on where the range was, although it counts as the newest of its age.
    if (!is_rest) next = source->newer;
    is_rest = false;
    Range* piece = cut_piece(source, missing);
    if (piece == nullptr) {
      source = next;
      continue;
    }
    Range* rest = piece->above;
    if (move_piece(piece->first_chunk, chunk + filled, piece->chunks)) {
      filled += piece->chunks;
      piece->state = RangeState::kClean;
      is_rest = rest != nullptr && rest->state == RangeState::kDirty;
    } else if (++refused == kRefusals) {
      insert_free(merge(piece));
      break;
    }
    insert_free(merge(piece));
    source = is_rest ? rest : next;
  }
  if (filled != 0) {
    counters_.add(Counter::kLargeStitched);
    counters_.add(Counter::kLargeStitchedBytes, filled << kChunkShift);
  }
  return filled << kChunkShift;
}

}  // namespace hz3
