// The sizes that everything else is laid out by. Constants only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hz3 {

inline constexpr std::size_t kCacheLineBytes = 64;

// A page of the allocator: the unit of tags, spans and purging. Independent of the kernel's page
// size, which may be larger (16 or 64 KiB on aarch64).
inline constexpr unsigned kPageShift = 13;
inline constexpr std::size_t kPageBytes = std::size_t{1} << kPageShift;

// A segment: the unit in which the arena is taken into use, one huge page.
inline constexpr unsigned kSegmentShift = 21;
inline constexpr std::size_t kSegmentBytes = std::size_t{1} << kSegmentShift;
inline constexpr unsigned kPagesPerSegment = kSegmentBytes >> kPageShift;

// Blocks up to this size come from spans of a size class; larger ones are "large".
inline constexpr std::size_t kMaxClassBytes = 256 * 1024;

// Up to this size one table look-up finds the class; above it a few instructions of arithmetic.
inline constexpr std::size_t kMaxTableBytes = 32 * 1024;

// Smallest block. Blocks start on multiples of it.
inline constexpr unsigned kMinBlockShift = 3;
inline constexpr std::size_t kMinBlockBytes = std::size_t{1} << kMinBlockShift;

// Every larger block starts on a multiple of this, the strictest alignment of an ordinary type. No
// object that asks for it fits into the smallest block.
inline constexpr std::size_t kBlockAlignment = 16;

// Large blocks are cut in chunks of this size.
inline constexpr unsigned kChunkShift = 16;
inline constexpr std::size_t kChunkBytes = std::size_t{1} << kChunkShift;

// Requests above this are refused at once: pointer differences must fit ptrdiff_t.
inline constexpr std::size_t kMaxRequestBytes = SIZE_MAX / 2;

// Shards: units of contention, not of threads.
inline constexpr unsigned kMinShards = 4;
inline constexpr unsigned kMaxShards = 64;

}  // namespace hz3
