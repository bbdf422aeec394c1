// Memory for the allocator's own structures, outside the arena: never given back, so that a stale
// pointer to a descriptor or a magazine always points to one of its kind.
//
// Any thread; own lock, the lowest in the order (nothing is taken while it is held).
#pragma once

#include <cstddef>

#include "base/futex_lock.h"

namespace hz3 {

// Zeroed, aligned to a cache line; nullptr when the system has no memory.
void* metadata_allocate(std::size_t bytes);

std::size_t metadata_bytes();
std::size_t metadata_bytes_locked();  // for whoever holds the lock

// Calls `visit` with each mapping that metadata lives in. Needs the lock.
using VisitMapping = void (*)(void* context, const void* address, std::size_t bytes);
void visit_metadata(VisitMapping visit, void* context);

FutexLock& metadata_lock();  // for fork

}  // namespace hz3
