// See audit_blocks.h. No lock: nobody changes the bit of a block that is parked.
#include "span/audit_blocks.h"

#include "arena/ledger.h"
#include "span/pending.h"
#include "span/span.h"

namespace hz3 {
namespace {

// Others may change the rest of the word.
HZ3_RACY bool is_free_now(const Span& span, unsigned index) {
  return ((span.free_bits[index / 64] >> (index % 64)) & 1) != 0;
}

bool is_pending(const Span& span, unsigned index) {
  const Pending* pending = span.pending.load(std::memory_order_acquire);  // [pending-made]
  if (pending == nullptr) return false;
  return ((pending->bits[index / 64].load(std::memory_order_relaxed) >> (index % 64)) & 1) != 0;
}

void audit_block(const void* block, unsigned class_index, Audit* audit) {
  const Span* span = arena.contains(block) ? arena.spans[arena.page_of(block)] : nullptr;
  if (span == nullptr) {
    audit->expect(false, "a parked block has a span", block);
    return;
  }
  audit->expect(span->class_index == class_index, "a parked block is of its bin's class", block);
  const unsigned index = span->index_of(block);
  if (index == Span::kNoBlock) {
    audit->expect(false, "a parked pointer is the start of a block", block);
    return;
  }
  audit->expect(!is_free_now(*span, index), "a parked block is not free in its span", block);
  audit->expect(!is_pending(*span, index), "a parked block is not pending beside its span", block);
  if constexpr (kChecked) {
    const bool held = ledger.at(block).load(std::memory_order_relaxed) != kNotHeld;
    audit->expect(!held, "a parked block is not with the program", block);
  }
}

}  // namespace

void audit_blocks(void* const* blocks, unsigned count, unsigned class_index, Audit* audit) {
  for (unsigned i = 0; i < count; ++i) {
    audit_block(blocks[i], class_index, audit);
    for (unsigned other = 0; other < i; ++other) {
      audit->expect(blocks[other] != blocks[i], "a parked block is there only once", blocks[i]);
    }
  }
}

}  // namespace hz3
