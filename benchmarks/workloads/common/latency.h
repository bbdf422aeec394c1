// Latency of single allocator calls, sampled. A table holds one pair of histograms per worker
// index; only the worker that currently runs under that index writes to it, and the main thread
// reads it after the join.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "clock.h"
#include "mapped.h"

namespace workload {

class JsonWriter;

// Counts of durations in ticks. Buckets are exact below 32 ticks and then 32 per doubling, so a
// percentile is at most 3 % off.
class LatencyHistogram {
 public:
  void record(std::uint64_t ticks) {
    ++counts_[bucket_of(ticks)];
    if (ticks > max_ticks_) max_ticks_ = ticks;
  }
  void add(const LatencyHistogram& other);
  [[nodiscard]] std::uint64_t samples() const;
  // Upper bound of the bucket that holds the given share (0 to 1) of the samples.
  [[nodiscard]] std::uint64_t percentile_ticks(double share) const;
  [[nodiscard]] std::uint64_t max_ticks() const { return max_ticks_; }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  static std::size_t bucket_of(std::uint64_t ticks) {
    if (ticks < (1U << kSubBits)) return static_cast<std::size_t>(ticks);
    const auto shift = static_cast<unsigned>(std::bit_width(ticks)) - 1 - kSubBits;
    return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(ticks >> shift);
  }
  static std::uint64_t upper_bound(std::size_t bucket);

  std::uint64_t counts_[kBuckets];
  std::uint64_t max_ticks_;
};

class LatencyTable {
 public:
  // Without `enabled` the table is empty and must not be used by a probe.
  LatencyTable(std::uint64_t workers, bool enabled);

  struct Pair {
    LatencyHistogram allocate;
    LatencyHistogram release;
  };
  Pair& pair(std::uint64_t worker) { return pairs_[worker]; }
  [[nodiscard]] std::uint64_t bracket_ticks() const { return bracket_ticks_; }

  // Writes "latency_ns": p50, p99, p999, max over all calls, then the same for each kind of call.
  void write_json(JsonWriter& json) const;

 private:
  MappedArray<Pair> pairs_;
  bool enabled_;
  std::uint64_t bracket_ticks_ = 0;  // what timing nothing takes; subtracted from each sample
  std::uint64_t start_ns_;           // start_ns_ and start_ticks_ calibrate ticks against time
  std::uint64_t start_ticks_;
};

// A probe brackets the allocator calls of one thread. NoProbe compiles to nothing.
struct NoProbe {
  NoProbe(LatencyTable&, std::uint64_t) {}
  template <class Call>
  auto allocate(Call call) {
    return call();
  }
  template <class Call>
  void release(Call call) {
    call();
  }
};

// Times about one call in 48, at irregular distances so that no period of the workload is favoured.
class SampleProbe {
 public:
  SampleProbe(LatencyTable& table, std::uint64_t worker)
      : pair_(table.pair(worker)), bracket_ticks_(table.bracket_ticks()) {}

  template <class Call>
  auto allocate(Call call) {
    if (!due()) return call();
    const std::uint64_t start = read_ticks();
    auto* block = call();
    record(pair_.allocate, read_ticks() - start);
    return block;
  }
  template <class Call>
  void release(Call call) {
    if (!due()) {
      call();
      return;
    }
    const std::uint64_t start = read_ticks();
    call();
    record(pair_.release, read_ticks() - start);
  }

 private:
  bool due() {
    if (--countdown_ != 0) return false;
    jitter_ = jitter_ * 1664525U + 1013904223U;
    countdown_ = 32 + (jitter_ >> 27U);
    return true;
  }
  void record(LatencyHistogram& histogram, std::uint64_t ticks) const {
    histogram.record(ticks > bracket_ticks_ ? ticks - bracket_ticks_ : 0);
  }

  LatencyTable::Pair& pair_;
  std::uint64_t bracket_ticks_;
  std::uint32_t countdown_ = 1;
  std::uint32_t jitter_ = 1;
};

}  // namespace workload
