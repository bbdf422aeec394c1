// What must hold for blocks that are parked somewhere: in a bin or a batch.
#pragma once

#include "base/audit.h"

namespace hz3 {

// Each is a block of the class, neither free in its span nor pending beside it, not with the
// program as far as the ledger knows, and there only once. Only whoever holds the blocks may ask.
void audit_blocks(void* const* blocks, unsigned count, unsigned class_index, Audit* audit);

}  // namespace hz3
