// Best fit among free ranges. Under the lock of LargeHeap.
#include "base/bits.h"
#include "large/range.h"

namespace hz3 {

unsigned RangeIndex::list_of(std::size_t chunks) {
  if (chunks < 8) return static_cast<unsigned>(chunks);
  const unsigned doubling = log2_floor(chunks);
  const unsigned step = static_cast<unsigned>(chunks >> (doubling - 3)) & 7;
  return min_of((doubling - 2) * 8 + step, kLists - 1);
}

void RangeIndex::insert(Range* range) {
  const unsigned list = list_of(range->chunks);
  range->previous = nullptr;
  range->next = lists_[list];
  if (range->next != nullptr) range->next->previous = range;
  lists_[list] = range;
  nonempty_[list / 64] |= std::uint64_t{1} << (list % 64);
}

void RangeIndex::remove(Range* range) {
  const unsigned list = list_of(range->chunks);
  if (range->next != nullptr) range->next->previous = range->previous;
  if (range->previous != nullptr) {
    range->previous->next = range->next;
  } else {
    lists_[list] = range->next;
    if (range->next == nullptr) nonempty_[list / 64] &= ~(std::uint64_t{1} << (list % 64));
  }
}

Range* RangeIndex::find(std::size_t chunks, std::size_t alignment_chunks) const {
  Range* best = nullptr;
  unsigned looks = 0;
  unsigned list = list_of(chunks);
  for (unsigned word = list / 64; word < kWords; ++word) {
    std::uint64_t left = nonempty_[word];
    if (word == list / 64) left &= ~std::uint64_t{0} << (list % 64);
    for (; left != 0; left &= left - 1) {
      for (Range* range = lists_[word * 64 + lowest_bit(left)]; range != nullptr;
           range = range->next) {
        const std::size_t skipped =
            align_up(range->first_chunk, alignment_chunks) - range->first_chunk;
        ++looks;
        if (range->chunks >= skipped && range->chunks - skipped >= chunks &&
            (best == nullptr || range->chunks < best->chunks ||
             (range->chunks == best->chunks && range->first_chunk < best->first_chunk))) {
          best = range;
        }
        // Alignment may make many ranges unfit, so only ever stop with one in hand.
        if (best != nullptr && looks >= kLooks) return best;
      }
      if (best != nullptr) return best;
    }
  }
  return best;
}

}  // namespace hz3
