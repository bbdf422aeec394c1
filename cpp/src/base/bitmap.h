// A bitmap of fixed size with searches for runs. Not thread-safe: the owner's lock protects it.
#pragma once

#include <cstdint>

#include "base/bits.h"

namespace hz3 {

template <unsigned kBits>
class Bitmap {
 public:
  static constexpr unsigned kWords = (kBits + 63) / 64;
  static constexpr unsigned kNone = ~0u;

  constexpr bool test(unsigned bit) const { return (words_[bit / 64] >> (bit % 64)) & 1; }

  // Sets or clears `count` bits from `first` on.
  constexpr void set(unsigned first, unsigned count) {
    for_each_word(first, count,
                  [this](unsigned word, std::uint64_t mask) { words_[word] |= mask; });
  }
  constexpr void clear(unsigned first, unsigned count) {
    for_each_word(first, count,
                  [this](unsigned word, std::uint64_t mask) { words_[word] &= ~mask; });
  }

  // The bits that are set here and not there.
  constexpr Bitmap without(const Bitmap& other) const {
    Bitmap result;
    for (unsigned i = 0; i < kWords; ++i) result.words_[i] = words_[i] & ~other.words_[i];
    return result;
  }

  // How many of these bits are set.
  constexpr unsigned count(unsigned first, unsigned length) const {
    unsigned total = 0;
    for_each_word(first, length, [this, &total](unsigned word, std::uint64_t mask) {
      total += static_cast<unsigned>(std::popcount(words_[word] & mask));
    });
    return total;
  }

  constexpr unsigned count() const {
    unsigned total = 0;
    for (const std::uint64_t word : words_) total += static_cast<unsigned>(std::popcount(word));
    return total;
  }

  // First set bit at or after `from`, or kNone.
  constexpr unsigned next_set(unsigned from) const { return next(from, 0); }
  // First clear bit at or after `from`, or kBits.
  constexpr unsigned next_clear(unsigned from) const {
    const unsigned found = next(from, ~std::uint64_t{0});
    return found == kNone ? kBits : found;
  }

  // Lowest start of `length` set bits whose start is a multiple of `alignment`, or kNone.
  constexpr unsigned find_run(unsigned length, unsigned alignment) const {
    unsigned start = next_set(0);
    while (start != kNone) {
      const unsigned end = next_clear(start);
      const auto aligned = static_cast<unsigned>(align_up(start, alignment));
      if (aligned + length <= end) return aligned;
      if (end >= kBits) return kNone;
      start = next_set(end);
    }
    return kNone;
  }

  // Length of the longest run of set bits.
  constexpr unsigned longest_run() const {
    unsigned best = 0;
    unsigned start = next_set(0);
    while (start != kNone) {
      const unsigned end = next_clear(start);
      best = max_of(best, end - start);
      if (end >= kBits) break;
      start = next_set(end);
    }
    return best;
  }

  constexpr std::uint64_t word(unsigned index) const { return words_[index]; }
  constexpr void set_word(unsigned index, std::uint64_t value) { words_[index] = value; }

 private:
  template <class F>
  static constexpr void for_each_word(unsigned first, unsigned count, F&& apply) {
    while (count != 0) {
      const unsigned shift = first % 64;
      const unsigned here = min_of(count, 64 - shift);
      const std::uint64_t mask = (here == 64 ? ~std::uint64_t{0} : ((std::uint64_t{1} << here) - 1))
                                 << shift;
      apply(first / 64, mask);
      first += here;
      count -= here;
    }
  }

  constexpr unsigned next(unsigned from, std::uint64_t flip) const {
    if (from >= kBits) return kNone;
    unsigned index = from / 64;
    std::uint64_t word = (words_[index] ^ flip) & (~std::uint64_t{0} << (from % 64));
    while (word == 0) {
      if (++index == kWords) return kNone;
      word = words_[index] ^ flip;
    }
    return index * 64 + lowest_bit(word);
  }

  std::uint64_t words_[kWords] = {};
};

}  // namespace hz3
