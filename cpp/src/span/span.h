// A span: a run of pages cut into blocks of one class, described outside the heap.
//
//   blocks = free (bit set) + out (with the application, in a cache on its way, or pending)
// Bits, counts and links change only under the lock of the span's shard. `shard`, `class_index`,
// `first_page` and the page tags never change while a block is out, so whoever holds a block may
// read them without a lock. Descriptors are never given back: a stale pointer to one stays valid.
#pragma once

#include <atomic>
#include <cstdint>

#include "arena/arena.h"
#include "base/bits.h"
#include "geometry/size_classes.h"

namespace hz3 {

struct Pending;  // span/pending.h

// Words of bits that the blocks of a span take up.
constexpr unsigned bit_words(const SizeClass& shape) { return (shape.blocks + 63u) / 64; }

struct Span {
  static constexpr unsigned kMostWords = kMaxBlocksPerSpan / 64;
  static constexpr unsigned kNoBlock = ~0u;

  Span* next = nullptr;  // among the partly used spans of its class, or in the pool of descriptors
  Span* previous = nullptr;
  std::uintptr_t start = 0;
  std::uint32_t first_page = 0;
  std::uint16_t free_blocks = 0;
  std::uint8_t class_index = 0;
  std::uint8_t shard = 0;
  std::uint8_t fullness = 0;  // which list; see Central
  bool listed = false;
  std::atomic<Pending*> pending{nullptr};  // made once, never given back
  // 1: free. All ones at first: the lowest address goes first. words() of them are there.
  std::uint64_t free_bits[];

  const SizeClass& size_class() const { return kClasses[class_index]; }

  unsigned words() const { return bit_words(size_class()); }

  // Index of the block that starts at `pointer`, or kNoBlock when none does.
  unsigned index_of(const void* pointer) const {
    const SizeClass& shape = size_class();
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(pointer) - start;
    // offset < 2^18 and reciprocal = ceil(2^32 / size): exact for every multiple of the size,
    // because the error offset * (size - 1) / (size * 2^32) stays below one block.
    const auto index = static_cast<unsigned>((offset * shape.reciprocal) >> 32);
    if (std::uintptr_t{index} * shape.block_bytes != offset || index >= shape.blocks) {
      return kNoBlock;
    }
    return index;
  }

  void* address_of(unsigned index) const {
    return reinterpret_cast<void*>(start + std::size_t{index} * size_class().block_bytes);
  }

  bool is_free(unsigned index) const { return ((free_bits[index / 64] >> (index % 64)) & 1) != 0; }
};

// Descriptors come in two lengths: with room for the smallest class, and for all others.
inline constexpr unsigned kSpanLengths = 2;
constexpr unsigned span_length_of(unsigned class_index) { return class_index == 0 ? 0 : 1; }
constexpr std::size_t descriptor_bytes(unsigned length) {
  unsigned words = 0;
  for (unsigned index = 0; index < kClassCount; ++index) {
    if (span_length_of(index) == length) words = max_of(words, bit_words(kClasses[index]));
  }
  return sizeof(Span) + words * sizeof(std::uint64_t);
}
inline constexpr std::size_t kDescriptorBytes[kSpanLengths] = {descriptor_bytes(0),
                                                               descriptor_bytes(1)};
static_assert(kDescriptorBytes[1] <= 2 * kCacheLineBytes);

}  // namespace hz3
