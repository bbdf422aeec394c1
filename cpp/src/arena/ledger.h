// The ledger of the checked build: which blocks of the arena the program holds, and how much of
// each it did not ask for.
//
// One entry per 8 bytes, at the place where a block may start; the other build has none. Whoever
// hands a block out writes its entry; whoever takes it back does so with an exchange, so that of
// two frees at the same moment exactly one finds it. Any thread, no lock: an entry is a fact of its
// own, the block itself was published by the program.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arena/arena.h"

namespace hz3 {

// Bytes at the end of a block that were not asked for, never none; 0: the program holds no block
// that starts here.
using Slack = std::uint16_t;
inline constexpr Slack kNotHeld = 0;
inline constexpr std::size_t kMostSlack = UINT16_MAX;  // this much or more

class Ledger {
 public:
  // Entry of a block in a segment that is open.
  std::atomic<Slack>& at(const void* block) const {
    return entries_[(reinterpret_cast<std::uintptr_t>(block) - arena.base) >> kMinBlockShift];
  }

  // Reserves the entries of the whole arena; false when there is no address space.
  bool boot(std::size_t arena_bytes);

  // The entries of the first segments, for observers; `*bytes` is 0 where there is no ledger.
  const void* memory(std::size_t segments, std::size_t* bytes) const;

  // Makes the entries of segments accessible, before they are opened. False: no memory.
  bool commit(unsigned first_segment, unsigned segments) const;

 private:
  std::atomic<Slack>* entries_ = nullptr;
};

extern Ledger ledger;

}  // namespace hz3
