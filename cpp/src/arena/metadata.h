// Memory for the allocator's own structures, outside the arena: never given back, so that a stale
// pointer to a descriptor or a magazine always points to one of its kind.
//
// Any thread; own lock, the lowest in the order (nothing is taken while it is held).
#pragma once

#include <cstddef>

namespace hz3 {

// Zeroed, aligned to a cache line; nullptr when the system has no memory.
void* metadata_allocate(std::size_t bytes);

std::size_t metadata_bytes();

void lock_metadata_for_fork();
void unlock_metadata_after_fork(bool in_child);

}  // namespace hz3
