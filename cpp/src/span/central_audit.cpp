// The spans of a shard against its books and their marks, with the shard's lock held.
#include "arena/ledger.h"
#include "arena/page_heap.h"
#include "span/central.h"
#include "span/pending.h"

namespace hz3 {
namespace {

void audit_bits(const Span& span, Audit* audit) {
  const void* where = reinterpret_cast<const void*>(span.start);
  const SizeClass& shape = span.size_class();
  unsigned free_blocks = 0;
  for (unsigned index = 0; index < 64 * span.words(); ++index) {
    if (!span.is_free(index)) continue;
    ++free_blocks;
    if (index >= shape.blocks) {
      audit->expect(false, "no bit stands behind the last block", where);
      return;
    }
    if constexpr (kChecked) {
      const auto* block = reinterpret_cast<void*>(span.start + index * shape.block_bytes);
      const bool held = ledger.at(block).load(std::memory_order_relaxed) != kNotHeld;
      audit->expect(!held, "a free block is not with the program", block);
    }
  }
  audit->expect(free_blocks == span.free_blocks, "free blocks are counted", where);
}

// Blocks of a word of marks.
void audit_marks(const Span& span, unsigned index, std::uint64_t bits, Audit* audit) {
  for (; bits != 0; bits &= bits - 1) {
    const unsigned block = index * 64 + lowest_bit(bits);
    const void* where = span.address_of(block);
    if (block >= span.size_class().blocks) {
      audit->expect(false, "no mark stands behind the last block", where);
      return;
    }
    audit->expect(!span.is_free(block), "a pending block is not free in its span", where);
    if constexpr (kChecked) {
      const bool held = ledger.at(where).load(std::memory_order_relaxed) != kNotHeld;
      audit->expect(!held, "a pending block is not with the program", where);
    }
  }
}

// Other threads may be marking blocks; nobody takes a mark away while we have the lock.
void audit_pending(const Span& span, Audit* audit) {
  const Pending* pending = span.pending.load(std::memory_order_acquire);  // [pending-made]
  if (pending == nullptr) return;
  const auto where = span.start;
  audit->expect(pending->span == &span, "the marks of a span name it", where);
  bool any = false;
  for (unsigned index = 0; index < Span::kMostWords; ++index) {
    // acquire: the block was given up before it was marked, and the control word reads as it was
    // then or later [page-queue]
    const std::uint64_t bits = pending->bits[index].load(std::memory_order_acquire);
    any = any || bits != 0;
    audit_marks(span, index, bits, audit);
  }
  const std::uint32_t control = pending->control.load(std::memory_order_acquire);
  audit->expect((control & Pending::kClosed) == 0, "a span in use is open for marks", where);
  audit->expect(!any || control != 0, "pending blocks are announced", where);
}

bool is_queued(const Span& span) {
  const Pending* pending = span.pending.load(std::memory_order_acquire);  // [pending-made]
  return pending != nullptr &&
         (pending->control.load(std::memory_order_acquire) & Pending::kQueued) != 0;
}

void audit_span(const Span& span, unsigned shard, Audit* audit) {
  const void* where = arena.address_of_page(span.first_page);
  audit->expect(span.start == reinterpret_cast<std::uintptr_t>(where), "a span knows its start",
                where);
  if (span.class_index >= kClassCount) {
    audit->expect(false, "a span has a class", where);
    return;
  }
  const Tag tag = tag_of(code_of(span.class_index, shard));
  for (unsigned i = 0; i < span.size_class().pages; ++i) {
    const void* page = arena.address_of_page(span.first_page + i);
    audit->expect(arena.tag_at(page) == tag, "the pages of a span have its tag", page);
    audit->expect(arena.spans[span.first_page + i] == &span, "the pages of a span name it", page);
  }
  audit_bits(span, audit);
  audit_pending(span, audit);
  audit->expect(span.listed == (span.free_blocks != 0), "partly used spans are listed", where);
}

}  // namespace

// Returns how many spans are in the lists of the class.
std::uint64_t Central::audit_lists(unsigned class_index, Audit* audit) const {
  std::uint64_t listed = 0;
  for (unsigned list = 0; list < kLists; ++list) {
    const Span* previous = nullptr;
    for (const Span* span = classes_[class_index].lists[list]; span != nullptr; span = span->next) {
      const auto where = span->start;
      audit->expect(span->previous == previous, "the lists of spans are linked both ways", where);
      audit->expect(span->listed && span->class_index == class_index && span->shard == shard_,
                    "a listed span belongs to its list", where);
      audit->expect(span->fullness == list && fullness_of(*span) == list,
                    "a span is listed by how full it is", where);
      previous = span;
      if (++listed > classes_[class_index].spans) {
        audit->expect(false, "the lists of spans end", where);
        return listed;
      }
    }
  }
  return listed;
}

void Central::audit(Audit* audit, std::uint64_t (&queued_spans)[kClassCount]) const {
  std::uint64_t spans[kClassCount] = {};
  std::uint64_t listed[kClassCount] = {};
  std::uint64_t blocks_out[kClassCount] = {};
  const std::size_t pages = page_heap.figures().open_segments * kPagesPerSegment;
  for (std::size_t page = 0; page < pages; ++page) {
    // Of another shard, it may change under our eyes; then its shard tells, which it keeps.
    const Span* span = arena.look_up_span(page);
    if (span == nullptr || span->shard != shard_ || span->first_page != page) continue;
    audit_span(*span, shard_, audit);
    if (span->class_index >= kClassCount) continue;
    ++spans[span->class_index];
    queued_spans[span->class_index] += is_queued(*span) ? 1 : 0;
    listed[span->class_index] += span->listed ? 1 : 0;
    blocks_out[span->class_index] += span->size_class().blocks - span->free_blocks;
  }
  for (unsigned i = 0; i < kClassCount; ++i) {
    audit->expect(spans[i] == classes_[i].spans, "the spans of a class are counted", i);
    audit->expect(blocks_out[i] == classes_[i].blocks_out, "used and free make up a class", i);
    audit->expect(listed[i] == audit_lists(i, audit), "the lists hold the partly used spans", i);
  }
}

}  // namespace hz3
