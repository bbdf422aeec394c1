// Integer arithmetic used all over the allocator. Pure functions, no state.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace hz3 {

constexpr bool is_power_of_two(std::size_t value) { return std::has_single_bit(value); }

// `alignment` must be a power of two; the caller makes sure nothing overflows.
constexpr std::size_t align_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

constexpr std::size_t align_down(std::size_t value, std::size_t alignment) {
  return value & ~(alignment - 1);
}

// Position of the highest set bit; `value` must not be 0.
constexpr unsigned log2_floor(std::size_t value) {
  return static_cast<unsigned>(std::bit_width(value)) - 1;
}

constexpr unsigned lowest_bit(std::uint64_t word) {
  return static_cast<unsigned>(std::countr_zero(word));
}

template <class T>
constexpr T min_of(T a, T b) {
  return a < b ? a : b;
}

template <class T>
constexpr T max_of(T a, T b) {
  return a > b ? a : b;
}

}  // namespace hz3
