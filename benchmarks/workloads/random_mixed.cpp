// random_mixed: random slots of a small table are freed when occupied and filled when empty. The
// hot path of malloc and free on a tiny live set. Each worker owns its slots; nothing is shared.
#include <algorithm>
#include <iterator>

#include "common/calls.h"
#include "common/fatal.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t iters = 50'000'000;
  std::uint64_t slots = 400;
  std::uint64_t min_bytes = 16;
  std::uint64_t max_bytes = 2048;
  unsigned sizes = 0;  // index into kSizeWords
};

constexpr const char* kSizeWords[] = {"uniform", "app"};
constexpr std::uint64_t kChunk = 1U << 16U;
// Distance of two workers' seeds.
constexpr std::uint32_t kSeedStep = 977;

// Uniform over [min, max], from the same draw that chose the slot.
class UniformSizes {
 public:
  explicit UniformSizes(const Config& config)
      : min_bytes_(static_cast<std::uint32_t>(config.min_bytes)),
        span_(static_cast<std::uint32_t>(config.max_bytes - config.min_bytes + 1)) {}

  std::uint32_t draw(std::uint32_t slot_draw, Lcg32&) const {
    return min_bytes_ + slot_draw % span_;
  }

 private:
  std::uint32_t min_bytes_;
  std::uint32_t span_;
};

struct AppBucket {
  std::uint32_t low;
  std::uint32_t high;
  std::uint32_t weight;
};

constexpr AppBucket kAppBuckets[] = {{16, 256, 80}, {257, 2048, 15}, {2049, 32768, 5}};

// What applications ask for: mostly small, a few large. One draw picks the bucket, the next the
// size in it. Buckets are clipped to [min, max]; one that lies outside has no weight.
class AppSizes {
 public:
  explicit AppSizes(const Config& config) {
    for (std::size_t i = 0; i < std::size(kAppBuckets); ++i) {
      const AppBucket& bucket = kAppBuckets[i];
      const auto low = std::max(bucket.low, static_cast<std::uint32_t>(config.min_bytes));
      const auto high = std::min(bucket.high, static_cast<std::uint32_t>(config.max_bytes));
      if (low > high) continue;
      ranges_[i] = {low, high - low + 1, bucket.weight};
      total_weight_ += bucket.weight;
    }
  }

  [[nodiscard]] bool empty() const { return total_weight_ == 0; }

  std::uint32_t draw(std::uint32_t, Lcg32& random) const {
    std::uint32_t point = (random.next() >> 8U) % total_weight_;
    std::size_t i = 0;
    while (point >= ranges_[i].weight) point -= ranges_[i++].weight;
    return ranges_[i].low + (random.next() >> 4U) % ranges_[i].span;
  }

 private:
  struct Range {
    std::uint32_t low;
    std::uint32_t span;
    std::uint32_t weight;
  };

  Range ranges_[std::size(kAppBuckets)] = {};
  std::uint32_t total_weight_ = 0;
};

template <Touch kTouch, class Probe, class Sizes>
Tally run_worker(const Config& config, const CommonOptions& common, LatencyTable& latency,
                 std::uint64_t worker) {
  Calls<MallocApi, Probe> calls(latency, worker);
  const Sizes sizes(config);
  MappedArray<void*> slots(config.slots);
  Lcg32 random(static_cast<std::uint32_t>(common.seed) +
               kSeedStep * static_cast<std::uint32_t>(worker));
  const auto slot_count = static_cast<std::uint32_t>(config.slots);
  Tally tally{};

  StepBudget budget(config.iters, common.seconds, kChunk);
  while (const std::uint64_t steps = budget.next()) {
    for (std::uint64_t step = 0; step < steps; ++step) {
      const std::uint32_t draw = random.next();
      void*& slot = slots[draw % slot_count];
      if (slot != nullptr) {
        calls.release(slot);
        slot = nullptr;
        continue;
      }
      const std::size_t size = sizes.draw(draw, random);
      slot = calls.allocate(size);
      if (slot != nullptr) {
        touch_block<kTouch>(slot, size);
      } else {
        ++tally.failed;
      }
    }
    tally.ops += steps;
  }
  for (void* block : slots) {
    if (block == nullptr) continue;
    calls.release(block);
    ++tally.ops;
  }
  return tally;
}

template <Touch kTouch, class Probe>
double run(const Config& config, const CommonOptions& common, LatencyTable& latency,
           MappedArray<Tally>& tallies) {
  return run_team(common.threads, Spawn::kIfSeveral, [&](std::uint64_t worker) {
    tallies[worker] = config.sizes == 0
                          ? run_worker<kTouch, Probe, UniformSizes>(config, common, latency, worker)
                          : run_worker<kTouch, Probe, AppSizes>(config, common, latency, worker);
  });
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("random_mixed",
                      "Frees or fills random slots of a small table; each free or malloc is an op.",
                      {.touch = Touch::kNone, .threads = 1, .seed = 0x12345678});
  arguments.positional("iters", config.iters, 1, kMaxCount, "steps of each thread").alias("ops");
  arguments.positional("slots", config.slots, 1, 1U << 30U, "slots of each thread");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.positional_seed();
  arguments.positional(
      "sizes", config.sizes, kSizeWords,
      "uniform, or app: 80 % to 256, 15 % to 2048, 5 % to 32768 bytes; app touches "
      "the first byte unless --touch says otherwise");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);
  if (config.sizes != 0) {
    if (AppSizes(config).empty()) usage_error("min, max: no app size lies in this range");
    arguments.prefer_touch(Touch::kFirst);
  }

  LatencyTable latency(arguments.common.threads, arguments.common.latency);
  MappedArray<Tally> tallies(arguments.common.threads);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run<kTouch, Probe>(config, arguments.common, latency, tallies);
  });
  end_work(arguments.common);

  const Tally total = sum(tallies);
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  return report.print(latency);
}
