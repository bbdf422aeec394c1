// Time for the workload programs: the monotonic clock, a cycle counter for single calls, and the
// budget that decides how long a loop runs. Stateless apart from StepBudget, which one thread owns.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace workload {

constexpr double kNsPerSecond = 1e9;

inline std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

inline double seconds_since(std::uint64_t start_ns) {
  return static_cast<double>(now_ns() - start_ns) / kNsPerSecond;
}

inline void sleep_seconds(double seconds) {
  if (seconds <= 0) return;
  timespec left{};
  left.tv_sec = static_cast<time_t>(seconds);
  left.tv_nsec =
      static_cast<long>((seconds - static_cast<double>(left.tv_sec)) * (kNsPerSecond - 1));
  while (nanosleep(&left, &left) != 0) {
  }
}

// A counter that is cheap enough to bracket one malloc. The fences keep the bracketed call from
// drifting out of the bracket. Where there is no such counter the monotonic clock serves.
inline std::uint64_t read_ticks() {
#if defined(__x86_64__)
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
  return (static_cast<std::uint64_t>(high) << 32U) | low;
#else
  return now_ns();
#endif
}

// How many steps a loop still has to do: a fixed number, or as many as fit into a time limit. The
// caller asks for one chunk at a time, so that the clock is read once per chunk only.
class StepBudget {
 public:
  // `seconds` > 0 sets a time limit that starts now, and `steps` is then ignored.
  StepBudget(std::uint64_t steps, double seconds, std::uint64_t chunk)
      : left_(steps),
        chunk_(chunk),
        deadline_ns_(seconds > 0 ? now_ns() + static_cast<std::uint64_t>(seconds * kNsPerSecond)
                                 : 0) {}

  // Size of the next chunk; 0 ends the loop.
  std::uint64_t next() {
    if (deadline_ns_ != 0) return now_ns() < deadline_ns_ ? chunk_ : 0;
    const std::uint64_t steps = std::min(left_, chunk_);
    left_ -= steps;
    return steps;
  }

 private:
  std::uint64_t left_;
  std::uint64_t chunk_;
  std::uint64_t deadline_ns_;  // 0: no time limit
};

}  // namespace workload
