// Making, opening and closing the marks of a span.
#include "span/pending.h"

#include "arena/metadata.h"

namespace hz3 {
namespace {

constinit FutexLock lock;
constinit Pending* newest = nullptr;

}  // namespace

Pending* pending_of(Span* span) {
  // acquire: pairs with the release below, for `span` and the zeroed marks [pending-made]
  Pending* pending = span->pending.load(std::memory_order_acquire);
  if (HZ3_LIKELY(pending != nullptr)) return pending;
  const LockGuard guard(lock);
  pending = span->pending.load(std::memory_order_relaxed);  // under the lock that orders writers
  if (pending != nullptr) return pending;
  // Metadata is zeroed: no marks, open.
  pending = static_cast<Pending*>(metadata_allocate(sizeof(Pending)));
  if (pending == nullptr) return nullptr;
  pending->span = span;
  pending->older = newest;
  newest = pending;
  span->pending.store(pending, std::memory_order_release);  // [pending-made]
  return pending;
}

bool close_pending(Span* span) {
  Pending* pending = span->pending.load(std::memory_order_acquire);  // [pending-made]
  if (pending == nullptr) return true;  // whoever could make them holds a block of the span
  std::uint32_t idle = 0;
  // acquire: the last producer has left [page-queue]
  return pending->control.compare_exchange_strong(idle, Pending::kClosed, std::memory_order_acq_rel,
                                                  std::memory_order_relaxed);
}

void open_pending(Span* span) {
  Pending* pending = span->pending.load(std::memory_order_acquire);  // [pending-made]
  // release: who finds it open finds the new span [page-queue]
  if (pending != nullptr) pending->control.fetch_and(~Pending::kClosed, std::memory_order_release);
}

Pending* newest_pending() { return newest; }

FutexLock& pending_lock() { return lock; }

}  // namespace hz3
