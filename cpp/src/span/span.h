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
  std::atomic<Pending*> pending{nullptr};  // made once, never given back
  std::uint32_t first_page = 0;
  std::uint32_t block_bytes = 0;  // this and the next as in the size class, where a free finds them
  std::uint32_t reciprocal = 0;
  std::uint32_t extent_bytes = 0;  // of all blocks; what is left of the pages is no block
  std::uint16_t free_blocks = 0;
  std::uint16_t next_change = 0;  // so many free blocks: another list, or the end; see Central
  std::uint8_t class_index = 0;
  std::uint8_t shard = 0;
  std::uint8_t fullness = 0;  // which list; see Central
  bool listed = false;
  // 1: free. All ones at first: the lowest address goes first. words() of them are there.
  std::uint64_t free_bits[];

  const SizeClass& size_class() const { return kClasses[class_index]; }

  unsigned words() const { return bit_words(size_class()); }

  // Index of the block that starts at `pointer`, or kNoBlock when none does.
  unsigned index_of(const void* pointer) const {
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(pointer) - start;
    // offset < 2^18 and reciprocal = ceil(2^32 / size): exact for every multiple of the size,
    // because the error offset * (size - 1) / (size * 2^32) stays below one block.
    const auto index = static_cast<unsigned>((offset * reciprocal) >> 32);
    const bool starts = std::uintptr_t{index} * block_bytes == offset;
    return starts && offset < extent_bytes ? index : kNoBlock;
  }

  void* address_of(unsigned index) const {
    return reinterpret_cast<void*>(start + std::size_t{index} * block_bytes);
  }

  // False when no block starts there, or it is free already. Needs the lock; the counts are left to
  // the caller.
  bool mark_free(const void* block) {
    const unsigned index = index_of(block);
    if (index == kNoBlock) return false;
    std::uint64_t& word = free_bits[index / 64];
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }

  bool is_free(unsigned index) const { return ((free_bits[index / 64] >> (index % 64)) & 1) != 0; }
};

// Descriptors come in three lengths, of whole cache lines: with bits for so many blocks.
inline constexpr unsigned kSpanLengths = 3;
constexpr unsigned span_length_of(unsigned class_index) {
  const std::size_t bytes = sizeof(Span) + bit_words(kClasses[class_index]) * sizeof(std::uint64_t);
  return static_cast<unsigned>((bytes + kCacheLineBytes - 1) / kCacheLineBytes) - 1;
}
constexpr std::size_t descriptor_bytes(unsigned length) { return (length + 1) * kCacheLineBytes; }
static_assert(span_length_of(0) == kSpanLengths - 1);

}  // namespace hz3
