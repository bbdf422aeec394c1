// What the tests write into blocks: bytes that follow from a seed, so that any foreign write or
// any block handed out twice shows as a difference.
//
// Blocks up to kFullBytes are filled completely. Larger ones carry the pattern at both ends and in
// the first words of each 4 KiB, which keeps long runs fast and still touches every page.
#ifndef HZ3_TESTS_PATTERN_HPP
#define HZ3_TESTS_PATTERN_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "support/random.hpp"

namespace hz3test {

inline constexpr std::size_t kFullBytes = 2048;
inline constexpr std::size_t kEndBytes = 256;
inline constexpr std::size_t kStrideBytes = 4096;
inline constexpr std::size_t kStrideWordBytes = 16;
inline constexpr std::size_t kNoDifference = SIZE_MAX;

// Calls visit(offset, length) for each part of a block of `size` bytes that carries the pattern;
// stops when visit returns false.
template <typename Visit>
inline bool visit_pattern_parts(std::size_t size, Visit visit) {
  if (size <= kFullBytes) return visit(std::size_t{0}, size);
  if (!visit(std::size_t{0}, kEndBytes)) return false;
  for (std::size_t offset = kStrideBytes; offset + kEndBytes < size - kEndBytes;
       offset += kStrideBytes) {
    if (!visit(offset, kStrideWordBytes)) return false;
  }
  return visit(size - kEndBytes, kEndBytes);
}

// A part starts at word 0 of its own sequence, which depends on the seed and the part's offset.
inline std::uint64_t pattern_word(std::uint64_t seed, std::size_t offset, std::size_t index) {
  return (seed ^ (offset * 0x9e3779b97f4a7c15ULL)) * 0xbf58476d1ce4e5b9ULL +
         index * 0x94d049bb133111ebULL;
}

inline void fill_pattern(void* block, std::size_t size, std::uint64_t seed) {
  auto* bytes = static_cast<unsigned char*>(block);
  visit_pattern_parts(size, [&](std::size_t offset, std::size_t length) {
    for (std::size_t done = 0; done < length; done += 8) {
      const std::uint64_t word = pattern_word(seed, offset, done / 8);
      const std::size_t left = length - done;
      std::memcpy(bytes + offset + done, &word, left < 8 ? left : 8);
    }
    return true;
  });
}

// Offset of the first 8-byte word that differs from the pattern of a block that was filled with
// `filled_size` bytes and of which the first `size` bytes are looked at; kNoDifference if none.
inline std::size_t find_difference(const void* block, std::size_t filled_size, std::size_t size,
                                   std::uint64_t seed) {
  const auto* bytes = static_cast<const unsigned char*>(block);
  std::size_t difference = kNoDifference;
  visit_pattern_parts(filled_size, [&](std::size_t offset, std::size_t length) {
    for (std::size_t done = 0; done < length; done += 8) {
      if (offset + done >= size) return false;
      const std::uint64_t word = pattern_word(seed, offset, done / 8);
      std::size_t count = length - done < 8 ? length - done : 8;
      if (count > size - offset - done) count = size - offset - done;
      if (std::memcmp(bytes + offset + done, &word, count) != 0) {
        difference = offset + done;
        return false;
      }
    }
    return true;
  });
  return difference;
}

inline bool has_pattern(const void* block, std::size_t size, std::uint64_t seed) {
  return find_difference(block, size, size, seed) == kNoDifference;
}

// Are all `size` bytes zero? Reads every byte, also of large blocks.
inline bool is_zeroed(const void* block, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(block);
  std::size_t offset = 0;
  for (; offset + 8 <= size; offset += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes + offset, 8);
    if (word != 0) return false;
  }
  for (; offset < size; ++offset) {
    if (bytes[offset] != 0) return false;
  }
  return true;
}

}  // namespace hz3test

#endif  // HZ3_TESTS_PATTERN_HPP
