// Pending blocks: freed by threads that do not hold the lock of the span's shard, and marked beside
// the span until the lock holder merges the marks into its free bits.
//
// The marks of a span are made the first time that somebody needs them and stay with the descriptor
// for good, so whoever holds a stale pointer still finds marks there, never other memory.
//
// One word says who may do what:
//   producers  threads that are marking blocks of this span right now
//   queued     the span is linked in a page queue, or its only linker is about to link it
//   closed     the span was given back; nobody may mark anything
// A span is given back only when the word is 0 (close), so a producer that counted itself in finds
// shard, class and address unchanged until it counts itself out. A producer leaves and announces in
// one step, so marks never stay behind unannounced [page-queue].
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex_lock.h"
#include "geometry/constants.h"
#include "span/span.h"

namespace hz3 {

struct alignas(kCacheLineBytes) Pending {
  static constexpr std::uint32_t kQueued = std::uint32_t{1} << 31;
  static constexpr std::uint32_t kClosed = std::uint32_t{1} << 30;
  static constexpr std::uint32_t kProducer = 1;

  std::atomic<std::uint64_t> bits[Span::kMostWords];  // 1: pending
  std::atomic<std::uint32_t> control;
  std::atomic<Pending*> next;  // in a page queue; written by whoever set kQueued
  Span* span;
  Pending* older;  // all that exist; under pending_lock(), read in the child of fork
};

static_assert(sizeof(Pending) == 3 * kCacheLineBytes);

// The marks of a span that has a block out; made now if there are none. nullptr: no memory. Any
// thread.
Pending* pending_of(Span* span);

// False while somebody marks blocks or the span is queued: it must stay then. Needs the shard's
// lock.
bool close_pending(Span* span);

// The descriptor serves a new span. Needs the shard's lock.
void open_pending(Span* span);

// All marks that were ever made, the newest first. Only while nobody makes new ones.
Pending* newest_pending();

FutexLock& pending_lock();  // for fork

}  // namespace hz3
