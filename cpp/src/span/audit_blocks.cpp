// See audit_blocks.h. No lock: nobody changes the bit of a block that is parked.
#include "span/audit_blocks.h"

#include "arena/ledger.h"
#include "span/span.h"

namespace hz3 {
namespace {

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
  audit->expect(!span->is_free(index), "a parked block is not free in its span", block);
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
