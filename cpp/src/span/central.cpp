// Moving blocks between spans and batches; the shard's lock is held throughout.
#include "span/central.h"

#include "arena/metadata.h"
#include "base/bits.h"
#include "span/invalid_free.h"
#include "span/pending.h"

namespace hz3 {
namespace {

constexpr unsigned kDescriptorsPerPiece = 32;

HZ3_COLD void report_refused(const Span& span, const void* block) {
  if (span.index_of(block) == Span::kNoBlock) {
    report_no_block(span, block);
  } else {
    report_invalid_free(InvalidFree::kDouble, block, {span.block_bytes, 0, 0});
  }
}

}  // namespace

void Central::link(Span* span) {
  const unsigned list = fullness_of(*span);
  Span*& head = classes_[span->class_index].lists[list];
  span->fullness = static_cast<std::uint8_t>(list);
  span->next_change = static_cast<std::uint16_t>(change_after(*span, list));
  span->listed = true;
  span->previous = nullptr;
  span->next = head;
  if (head != nullptr) head->previous = span;
  head = span;
}

void Central::unlink(Span* span) {
  if (span->next != nullptr) span->next->previous = span->previous;
  if (span->previous != nullptr) {
    span->previous->next = span->next;
  } else {
    classes_[span->class_index].lists[span->fullness] = span->next;
  }
  span->listed = false;
  span->next_change = 1;  // the first block that comes back
}

Span* Central::new_descriptor(unsigned length) {
  Span*& unused = descriptors_[length];
  if (unused == nullptr) {
    const std::size_t bytes = descriptor_bytes(length);
    auto* piece = static_cast<char*>(metadata_allocate(kDescriptorsPerPiece * bytes));
    if (piece == nullptr) return nullptr;
    for (unsigned i = kDescriptorsPerPiece; i-- != 0;) {
      Span* span = reinterpret_cast<Span*>(piece + i * bytes);
      span->shard = shard_;  // for good
      span->next = unused;
      unused = span;
    }
  }
  Span* span = unused;
  unused = span->next;
  return span;
}

void Central::drop_descriptor(Span* span) {
  Span*& unused = descriptors_[span_length_of(span->class_index)];
  span->next = unused;
  unused = span;
}

bool Central::add_span(unsigned class_index, PageHeap::Opening opening) {
  const SizeClass& shape = kClasses[class_index];
  Span* span = new_descriptor(span_length_of(class_index));
  if (span == nullptr) return false;
  span->class_index = static_cast<std::uint8_t>(class_index);
  span->block_bytes = shape.block_bytes;
  span->reciprocal = shape.reciprocal;
  span->extent_bytes = shape.blocks * shape.block_bytes;
  bool zeroed = false;
  const std::size_t page =
      page_heap.allocate(shape.pages, shape.alignment_pages, opening, &zeroed, shard_);
  if (page == kNoPage) {
    drop_descriptor(span);
    return false;
  }
  span->start = reinterpret_cast<std::uintptr_t>(arena.address_of_page(page));
  span->first_page = static_cast<std::uint32_t>(page);
  span->free_blocks = shape.blocks;
  unsigned left = shape.blocks;
  for (unsigned index = 0; index < span->words(); ++index) {
    const unsigned here = min_of(left, 64u);
    span->free_bits[index] = here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
    left -= here;
  }
  // Written before a block can be handed out, so that whoever frees one finds them.
  const Tag tag = tag_of(code_of(class_index, shard_));
  for (unsigned i = 0; i < shape.pages; ++i) {
    arena.set_span(page + i, span);
    arena.tag_at(arena.address_of_page(page + i)) = tag;
  }
  open_pending(span);
  link(span);
  ++classes_[class_index].spans;
  counters_.add(Counter::kSpansNew);
  return true;
}

void Central::release(Span* span) {
  const SizeClass& shape = span->size_class();
  if (span->listed) unlink(span);
  const std::size_t page = span->first_page;
  for (unsigned i = 0; i < shape.pages; ++i) {
    arena.tag_at(arena.address_of_page(page + i)) = 0;
    arena.set_span(page + i, nullptr);
  }
  page_heap.release(page, shape.pages);
  --classes_[span->class_index].spans;
  counters_.add(Counter::kSpansReleased);
  drop_descriptor(span);
}

// Fills out[want - 1], out[want - 2], ... with rising addresses.
unsigned Central::take_from(Span* span, void** out, unsigned want) {
  const std::size_t block_bytes = span->block_bytes;
  void** const end = out + want - min_of<unsigned>(want, span->free_blocks);
  void** next = out + want;
  std::uintptr_t first = span->start;  // block of the lowest bit of the word
  for (std::uint64_t* bits = span->free_bits; next != end; ++bits, first += 64 * block_bytes) {
    std::uint64_t word = *bits;
    for (; word != 0 && next != end; word &= word - 1) {
      *--next = reinterpret_cast<void*>(first + lowest_bit(word) * block_bytes);
    }
    *bits = word;
  }
  const auto taken = static_cast<unsigned>(out + want - end);
  span->free_blocks = static_cast<std::uint16_t>(span->free_blocks - taken);
  return taken;
}

unsigned Central::take_partial(unsigned class_index, void** out, unsigned want) {
  Class& spans = classes_[class_index];
  unsigned taken = 0;
  for (unsigned list = 0; list < kLists && taken < want; ++list) {
    while (spans.lists[list] != nullptr && taken < want) {
      Span* span = spans.lists[list];
      taken += take_from(span, out, want - taken);
      if (span->free_blocks == 0) {
        unlink(span);
      } else if (fullness_of(*span) != span->fullness) {
        unlink(span);
        link(span);
      }
    }
  }
  spans.blocks_out += taken;
  counters_.add(Counter::kCentralRefill, taken);
  return taken;
}

// What a span with more free blocks than before is from now on: in another list, or at its end.
void Central::settle(Span* span) {
  if (span->free_blocks == span->size_class().blocks && close_pending(span)) {
    release(span);
    return;
  }
  if (span->listed) {
    if (fullness_of(*span) == span->fullness) return;  // all free, and it has to stay
    unlink(span);
  }
  link(span);
}

// After `freed` bits of the span were set.
HZ3_ALWAYS_INLINE void Central::add_free(Span* span, unsigned freed) {
  span->free_blocks = static_cast<std::uint16_t>(span->free_blocks + freed);
  classes_[span->class_index].blocks_out -= freed;
  if (HZ3_UNLIKELY(freed != 0 && span->free_blocks >= span->next_change)) settle(span);
}

unsigned Central::put_bits(Span* span, const std::uint64_t (&bits)[Span::kMostWords]) {
  const unsigned words = span->words();
  unsigned freed = 0;
  for (unsigned index = 0; index < words; ++index) {
    std::uint64_t twice = span->free_bits[index] & bits[index];
    freed += static_cast<unsigned>(std::popcount(bits[index] & ~twice));
    span->free_bits[index] |= bits[index];
    for (; HZ3_UNLIKELY(twice != 0); twice &= twice - 1) {
      report_invalid_free(InvalidFree::kDouble, span->address_of(index * 64 + lowest_bit(twice)));
    }
  }
  add_free(span, freed);
  return freed;
}

// Blocks that were cut together tend to come back together, so what belongs to the span as a whole
// changes once per run.
unsigned Central::put(void** blocks, unsigned count) {
  const unsigned mine = shard_;
  unsigned others = 0;
  Span* span = nullptr;  // of the run
  unsigned freed = 0;    // in it, and not told yet
  for (unsigned i = 0; i < count; ++i) {
    void* block = blocks[i];
    Span* home = arena.spans[arena.page_of(block)];
    if (HZ3_UNLIKELY(home == nullptr)) {
      // The first of two frees let the span go.
      report_invalid_free(InvalidFree::kDouble, block);
      continue;
    }
    if (home->shard != mine) {
      blocks[others++] = block;
      continue;
    }
    if (home != span) {
      if (freed != 0) add_free(span, freed);
      span = home;
      freed = 0;
    }
    if (HZ3_LIKELY(span->mark_free(block))) {
      ++freed;
    } else {
      report_refused(*span, block);
    }
  }
  if (freed != 0) add_free(span, freed);
  return others;
}

}  // namespace hz3
