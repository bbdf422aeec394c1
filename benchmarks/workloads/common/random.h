// Random number generators of the workload programs: small, seeded, one per thread, no shared
// state.
#pragma once

#include <cstdint>

namespace workload {

// The 32-bit congruential generator that the ring and slot workloads are defined with. Its low bits
// are periodic, which is part of those definitions.
class Lcg32 {
 public:
  explicit Lcg32(std::uint32_t seed) : state_(seed) {}

  std::uint32_t next() {
    state_ = state_ * 1664525U + 1013904223U;
    return state_;
  }

 private:
  std::uint32_t state_;
};

// splitmix64 (Steele, Lea, Flood 2014): a counter and a mixing function. All other workloads use
// it.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
  }

  // Uniform in [0, bound) by multiply and shift; the bias is below bound / 2^32.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32U) * bound) >> 32U);
  }

  // Uniform in [low, high]; high - low must be below 2^32 - 1.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(static_cast<std::uint32_t>(high - low + 1));
  }

  // True with a probability of `percent` in a hundred.
  bool chance(std::uint32_t percent) { return below(100) < percent; }

  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11U) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

// The seed of thread `index`: far apart, so that the threads' sequences have nothing in common.
inline std::uint64_t thread_seed(std::uint64_t seed, std::uint64_t index) {
  return SplitMix64(seed + 0x632BE59BD9B4E019U * (index + 1)).next();
}

}  // namespace workload
