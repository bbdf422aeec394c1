// Size classes: which block sizes exist, how large their spans are, and the codes that tag pages.
//
// The smallest size is 8; then sizes rise in steps of 16 bytes up to 256, then in 8 steps per
// doubling up to 8 KiB, then in 4 steps per doubling up to 256 KiB. A request wastes at most 1/8
// above 256 bytes and 1/4 above 8 KiB, in the mean 1/16 and 1/8.
//
// Codes. A page is tagged with the code of its span; a thread cache has one bin per code.
//   0                      no block starts here: free page, foreign memory
//   1 + class              an ordinary class
//   kFirstTinyCode + ...   the tiny classes, once per shard, so that tiny blocks of other shards
//                          fall into bins of their own and two threads never share a cache line
// A tag is the code times the size of a bin: the distance of the bin from the start of a cache, so
// that the hit path need not multiply.
// Everything here is constexpr; no state.
#pragma once

#include <array>
#include <cstdint>

#include "base/bits.h"
#include "geometry/constants.h"

namespace hz3 {

using ClassIndex = std::uint8_t;
using Code = std::uint8_t;
using Tag = std::uint16_t;

inline constexpr unsigned kStepClasses = 17;     // 8, then 16 .. 256
inline constexpr unsigned kMidClasses = 5 * 8;   // 288 .. 8 Ki
inline constexpr unsigned kWideClasses = 5 * 4;  // 10 Ki .. 256 Ki
inline constexpr unsigned kFirstWideClass = kStepClasses + kMidClasses;
inline constexpr unsigned kClassCount = kFirstWideClass + kWideClasses;

// The classes of 8, 16, 32 and 48 bytes: more than one block fits into a cache line.
inline constexpr unsigned kTinyClasses = 4;
inline constexpr unsigned kCodeCount = 256;
inline constexpr Code kNoCode = 0;
inline constexpr unsigned kFirstTinyCode = 1 + kClassCount;
inline constexpr unsigned kTinyShards = (kCodeCount - kFirstTinyCode) / kTinyClasses;

struct SizeClass {
  std::uint32_t block_bytes;
  std::uint32_t reciprocal;  // ceil(2^32 / block_bytes): offset / block_bytes without a division
  std::uint16_t blocks;      // per span
  std::uint16_t pages;       // per span
  std::uint16_t alignment_pages;  // span starts on a multiple: blocks keep their natural alignment
  std::uint16_t fullness_shift;   // free blocks >> this: 0 nearly full .. 7 nearly empty
};

// Class of a size in [1, kMaxClassBytes], by arithmetic.
constexpr unsigned class_of_size(std::size_t size) {
  if (size <= kMinBlockBytes) return 0;
  if (size <= 256) return 1 + static_cast<unsigned>((size - 1) / kBlockAlignment);
  const unsigned doubling = log2_floor(size - 1);
  if (size <= 8192) {
    const unsigned step = static_cast<unsigned>((size - 1) >> (doubling - 3)) & 7;
    return kStepClasses + (doubling - 8) * 8 + step;
  }
  const unsigned step = static_cast<unsigned>((size - 1) >> (doubling - 2)) & 3;
  return kFirstWideClass + (doubling - 13) * 4 + step;
}

namespace detail {

constexpr std::size_t block_bytes_of(unsigned index) {
  if (index == 0) return kMinBlockBytes;
  if (index < kStepClasses) return index * kBlockAlignment;
  if (index < kFirstWideClass) {
    const unsigned offset = index - kStepClasses;
    const std::size_t base = std::size_t{256} << (offset / 8);
    return base + (offset % 8 + 1) * (base / 8);
  }
  const unsigned offset = index - kFirstWideClass;
  const std::size_t base = std::size_t{8192} << (offset / 4);
  return base + (offset % 4 + 1) * (base / 4);
}

// Small spans keep partly used pages few; at least 8 blocks amortise the way to the page heap.
// From 8 KiB on a block is itself a run of pages, so few blocks per span return memory soonest.
constexpr std::size_t span_bytes_of(std::size_t block_bytes) {
  if (block_bytes <= 16) return 8 * 1024;
  if (block_bytes <= 1024) return 16 * 1024;
  if (block_bytes <= 2048) return 32 * 1024;
  if (block_bytes <= 8192) return 64 * 1024;
  if (block_bytes <= 16 * 1024) return 4 * block_bytes;
  if (block_bytes <= 32 * 1024) return 2 * block_bytes;
  return block_bytes;
}

constexpr std::array<SizeClass, kClassCount> make_classes() {
  std::array<SizeClass, kClassCount> table = {};
  for (unsigned index = 0; index < kClassCount; ++index) {
    const std::size_t block = block_bytes_of(index);
    const std::size_t span = span_bytes_of(block);
    SizeClass& entry = table[index];
    entry.block_bytes = static_cast<std::uint32_t>(block);
    entry.reciprocal = static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + block - 1) / block);
    entry.blocks = static_cast<std::uint16_t>(span / block);
    entry.pages = static_cast<std::uint16_t>(span >> kPageShift);
    const std::size_t natural = block & (~block + 1);
    entry.alignment_pages =
        static_cast<std::uint16_t>(max_of<std::size_t>(natural >> kPageShift, 1));
    const unsigned doubling = log2_floor(entry.blocks);
    entry.fullness_shift = static_cast<std::uint16_t>(doubling > 2 ? doubling - 2 : 0);
  }
  return table;
}

}  // namespace detail

inline constexpr std::array<SizeClass, kClassCount> kClasses = detail::make_classes();

// How many blocks of a class fit into `bytes` < 2^31, without a division; one too many at most,
// where the rest is a few bytes short of a block.
constexpr std::size_t blocks_in(std::size_t bytes, unsigned class_index) {
  return (bytes * kClasses[class_index].reciprocal) >> 32;
}

inline constexpr unsigned kMaxBlocksPerSpan = 1024;
inline constexpr unsigned kMaxPagesPerSpan = kMaxClassBytes >> kPageShift;

// The code under which a span of this class and shard is tagged.
constexpr Code code_of(unsigned class_index, unsigned shard) {
  if (class_index >= kTinyClasses) return static_cast<Code>(1 + class_index);
  return static_cast<Code>(kFirstTinyCode + (shard % kTinyShards) * kTinyClasses + class_index);
}

// The class of a code other than kNoCode.
constexpr unsigned class_of_code(Code code) {
  if (code < kFirstTinyCode) return code - 1u;
  return (code - kFirstTinyCode) % kTinyClasses;
}

inline constexpr unsigned kTagShift = 5;  // log2 of sizeof(Bin)

constexpr Tag tag_of(Code code) { return static_cast<Tag>(code << kTagShift); }
constexpr Code code_of_tag(Tag tag) { return static_cast<Code>(tag >> kTagShift); }

constexpr bool is_tiny_code(Code code) { return code >= kFirstTinyCode; }

// Smallest class whose blocks hold `size` bytes and all start on multiples of `alignment` (a power
// of two); kClassCount when there is none.
constexpr unsigned class_of_aligned(std::size_t size, std::size_t alignment) {
  if (size > kMaxClassBytes || alignment > kMaxClassBytes) return kClassCount;
  unsigned index = class_of_size(max_of(size, alignment));
  while (index < kClassCount && kClasses[index].block_bytes % alignment != 0) ++index;
  return index;
}

static_assert(kClasses[kClassCount - 1].block_bytes == kMaxClassBytes);
static_assert(class_of_size(kMaxClassBytes) == kClassCount - 1);
static_assert(kFirstTinyCode + kTinyShards * kTinyClasses <= kCodeCount);

}  // namespace hz3
