// The remote stash: where a thread gathers blocks of other shards until a batch for one owner (or,
// on the page queue, a packet for one span) is worth sending.
//
// Part of a thread cache and touched by its thread alone; made the first time that a knob asks for
// it. A table of few slots: a batch that meets another one in its slot sends that first, so what a
// thread holds back is bounded.
#pragma once

#include <cstdint>

#include "geometry/size_classes.h"
#include "remote/magazine.h"

namespace hz3 {

struct Span;

class RemoteStash {
 public:
  static constexpr unsigned kSlots = 64;

  struct Slot {
    std::uint64_t key;  // who the batch is for
    Magazine* batch;    // nullptr: unused
    Code code;          // of all its blocks
    bool is_idle;       // no block has come since the last tick
  };

  // The slot for this key: unused, or with a batch for it, or with another one to be sent first.
  Slot& slot_of(std::uint64_t key) { return slots_[index_of(key)]; }
  static unsigned index_of(std::uint64_t key) {
    return static_cast<unsigned>((key * kSpread) >> (64 - kSlotBits));
  }

  // Keys. No descriptor lies at so low an address: the two kinds never meet.
  static std::uint64_t key_of_owner(unsigned shard, unsigned class_index) {
    return std::uint64_t{shard} << 8 | class_index;
  }
  static std::uint64_t key_of_span(const Span* span) {
    return reinterpret_cast<std::uintptr_t>(span);
  }

  // Takes the batch out of a slot.
  Magazine* take(Slot* slot) {
    Magazine* batch = slot->batch;
    slot->batch = nullptr;
    --used_;
    return batch;
  }
  void put(Slot* slot, std::uint64_t key, Code code, Magazine* batch) {
    *slot = {key, batch, code, false};
    ++used_;
  }

  bool is_empty() const { return used_ == 0; }
  unsigned used_slots() const { return used_; }
  Slot* begin() { return slots_; }
  Slot* end() { return slots_ + kSlots; }
  const Slot* begin() const { return slots_; }
  const Slot* end() const { return slots_ + kSlots; }

  // Bytes of all gathered blocks.
  std::uint64_t parked_bytes() const;

 private:
  static constexpr unsigned kSlotBits = 6;
  static constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  static_assert(1u << kSlotBits == kSlots);

  Slot slots_[kSlots];
  unsigned used_;
};

// For a thread cache that is to gather; nullptr when no knob asks for it or there is no memory.
RemoteStash* new_remote_stash();

}  // namespace hz3
