// A bounded ring of pointers from exactly one producer thread to exactly one consumer thread.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "mapped.h"

namespace workload {

// One ring for each of `count` links. head and tail of a ring lie on lines of their own.
class SpscRings {
 public:
  SpscRings(std::uint64_t count, std::uint64_t capacity)
      : ends_(count),
        slots_(count * std::bit_ceil(capacity)),
        capacity_(capacity),
        stride_(std::bit_ceil(capacity)) {}

  // Producer of `link` only. False when the ring is full.
  bool push(std::uint64_t link, void* block) {
    Ends& ends = ends_[link];
    const std::uint64_t tail = ends.tail.load(std::memory_order_relaxed);  // own variable
    if (tail - ends.head_seen == capacity_) {
      ends.head_seen = ends.head.load(std::memory_order_acquire);  // pairs with "ring popped"
      if (tail - ends.head_seen == capacity_) return false;
    }
    slot(link, tail) = block;
    ends.tail.store(tail + 1, std::memory_order_release);  // "ring pushed"
    return true;
  }

  // Consumer of `link` only: hands every block that is in the ring now to take(block) and returns
  // their number.
  template <class Take>
  std::uint64_t drain(std::uint64_t link, Take take) {
    Ends& ends = ends_[link];
    const std::uint64_t head = ends.head.load(std::memory_order_relaxed);  // own variable
    const std::uint64_t tail =
        ends.tail.load(std::memory_order_acquire);  // pairs with "ring pushed"
    if (head == tail) return 0;
    for (std::uint64_t i = head; i != tail; ++i) take(slot(link, i));
    ends.head.store(tail, std::memory_order_release);  // "ring popped"
    return tail - head;
  }

 private:
  struct Ends {
    // Written by the producer.
    alignas(2 * kCacheLineBytes) std::atomic<std::uint64_t> tail;
    std::uint64_t head_seen;  // the producer's last look at head
    // Written by the consumer.
    alignas(2 * kCacheLineBytes) std::atomic<std::uint64_t> head;
  };

  void*& slot(std::uint64_t link, std::uint64_t position) {
    return slots_[link * stride_ + (position & (stride_ - 1))];
  }

  MappedArray<Ends> ends_;
  MappedArray<void*> slots_;
  std::uint64_t capacity_;  // pointers that a ring may hold
  std::uint64_t stride_;    // slots that a ring has: the power of two from capacity_ on
};

}  // namespace workload
