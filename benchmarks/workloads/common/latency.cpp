// Latency histograms and their percentiles. See latency.h.
#include "latency.h"

#include <algorithm>
#include <memory>

#include "json.h"

namespace workload {
namespace {

// The shortest time that two readings of the counter lie apart.
std::uint64_t measure_bracket() {
  std::uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t start = read_ticks();
    shortest = std::min(shortest, read_ticks() - start);
  }
  return shortest;
}

void write_percentiles(JsonWriter& json, const LatencyHistogram& histogram, double ns_per_tick) {
  const auto ns = [&](std::uint64_t ticks) { return static_cast<double>(ticks) * ns_per_tick; };
  // The upper bound of the last bucket may lie above the largest sample.
  const auto percentile = [&](double share) {
    return ns(std::min(histogram.percentile_ticks(share), histogram.max_ticks()));
  };
  json.field("p50", percentile(0.50));
  json.field("p99", percentile(0.99));
  json.field("p999", percentile(0.999));
  json.field("max", ns(histogram.max_ticks()));
  json.field("samples", histogram.samples());
}

}  // namespace

void LatencyHistogram::add(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  max_ticks_ = std::max(max_ticks_, other.max_ticks_);
}

std::uint64_t LatencyHistogram::samples() const {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts_) total += count;
  return total;
}

std::uint64_t LatencyHistogram::percentile_ticks(double share) const {
  const double wanted = share * static_cast<double>(samples());
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (counts_[i] != 0 && static_cast<double>(seen) >= wanted) return upper_bound(i);
  }
  return max_ticks_;
}

// Inverse of bucket_of: the largest value that falls into the bucket.
std::uint64_t LatencyHistogram::upper_bound(std::size_t bucket) {
  constexpr std::size_t kSubCount = std::size_t{1} << kSubBits;
  if (bucket < kSubCount) return bucket;
  const std::size_t shift = (bucket >> kSubBits) - 1;
  const std::size_t leading = (bucket & (kSubCount - 1)) + kSubCount;
  return ((static_cast<std::uint64_t>(leading) + 1) << shift) - 1;
}

LatencyTable::LatencyTable(std::uint64_t workers, bool enabled)
    : pairs_(enabled ? workers : 0),
      enabled_(enabled),
      start_ns_(now_ns()),
      start_ticks_(read_ticks()) {
  if (enabled) bracket_ticks_ = measure_bracket();
}

void LatencyTable::write_json(JsonWriter& json) const {
  if (!enabled_) return;
  const double ns_per_tick =
      static_cast<double>(now_ns() - start_ns_) /
      static_cast<double>(std::max<std::uint64_t>(read_ticks() - start_ticks_, 1));
  // Three histograms of 15 KiB; mapped, since a stack could be small.
  MappedArray<LatencyHistogram> sums(3);
  for (const Pair& pair : pairs_) {
    sums[0].add(pair.allocate);
    sums[0].add(pair.release);
    sums[1].add(pair.allocate);
    sums[2].add(pair.release);
  }
  json.open_object("latency_ns");
  write_percentiles(json, sums[0], ns_per_tick);
  json.open_object("allocate");
  write_percentiles(json, sums[1], ns_per_tick);
  json.close_object();
  json.open_object("release");
  write_percentiles(json, sums[2], ns_per_tick);
  json.close_object();
  json.close_object();
}

}  // namespace workload
