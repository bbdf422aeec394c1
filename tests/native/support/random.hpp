// A small, fast, seeded generator: the same seed gives the same program on every machine.
#ifndef HZ3_TESTS_RANDOM_HPP
#define HZ3_TESTS_RANDOM_HPP

#include <cstddef>
#include <cstdint>

namespace hz3test {

// splitmix64's finaliser: spreads every input bit over the whole word.
inline std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : state_(mix(seed ^ mix(stream))) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return mix(state_);
  }

  // Uniform in [0, bound); bound 0 gives 0.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }

  // Each power of two between 1 and `high` is as likely as the next.
  std::size_t log_uniform(std::size_t high) {
    const unsigned bits = 64U - static_cast<unsigned>(__builtin_clzll(high | 1));
    const std::size_t limit = std::size_t{1} << below(bits + 1);
    const std::size_t value = below(limit) + 1;
    return value > high ? high : value;
  }

  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace hz3test

#endif  // HZ3_TESTS_RANDOM_HPP
