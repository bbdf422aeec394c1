// What a workload writes into a fresh block. An untouched block hides page faults and cache misses,
// so the mode is part of every result. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace workload {

enum class Touch : unsigned {
  kNone,   // nothing
  kFirst,  // the first byte
  kEnds,   // the first and the last byte
  kFull,   // every byte
};

constexpr const char* kTouchWords[] = {"none", "first", "ends", "full"};

// The compiler must assume that `block` is read and written here, so it can neither drop a store to
// the block nor the call that made it.
inline void keep(void* block) { asm volatile("" : : "r"(block) : "memory"); }

template <Touch kTouch>
inline void touch_block(void* block, std::size_t size) {
  volatile auto* bytes = static_cast<volatile unsigned char*>(block);
  if constexpr (kTouch == Touch::kFull) {
    std::memset(block, 0xA5, size);
    keep(block);
  } else if constexpr (kTouch == Touch::kEnds) {
    if (size == 0) return;
    bytes[0] = 0xA5;
    bytes[size - 1] = 0x5A;
  } else if constexpr (kTouch == Touch::kFirst) {
    if (size == 0) return;
    bytes[0] = 0xA5;
  } else {
    asm volatile("" : : "r"(block));
  }
}

}  // namespace workload
