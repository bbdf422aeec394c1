// alloc_test: random slots are freed when occupied and filled when empty, a few slots far more
// often than most. Skewed reuse of small blocks, locality. Each worker owns its slots.
#include <algorithm>
#include <bit>

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
  std::uint64_t steps = 25'000'000;
  std::uint64_t slots = 1U << 18U;
};

constexpr std::uint64_t kChunk = 1U << 14U;

struct Slot {
  unsigned char* block;
  std::uint32_t size;
};

// Seven contiguous regions of the slots. Region i holds kPercent[i] of them and is hit with
// kPercent[6 - i]: eighty-twenty, iterated.
class Regions {
 public:
  explicit Regions(std::uint32_t slots) {
    double slots_before = 0;
    double hits_before = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      slots_before += kPercent[i];
      hits_before += kPercent[kCount - 1 - i];
      const auto end = static_cast<std::uint32_t>(slots * slots_before / 100);
      const std::uint32_t begin = i == 0 ? 0 : ends_[i - 1];
      // With many threads a region would come out empty; it then gets one slot.
      ends_[i] =
          std::min(std::max(end, begin + 1), slots - static_cast<std::uint32_t>(kCount - 1 - i));
      hits_[i] = static_cast<std::uint32_t>(std::min(hits_before / 100 * 0x1p32, 0x1p32 - 1));
    }
    ends_[kCount - 1] = slots;
    hits_[kCount - 1] = UINT32_MAX;
  }

  // One half of the draw chooses the region, the other the slot in it.
  [[nodiscard]] std::uint32_t choose(std::uint64_t draw) const {
    const auto hit = static_cast<std::uint32_t>(draw >> 32U);
    std::size_t i = 0;
    while (hit > hits_[i]) ++i;
    const std::uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    const std::uint64_t span = ends_[i] - begin;
    return begin + static_cast<std::uint32_t>((static_cast<std::uint32_t>(draw) * span) >> 32U);
  }

  static constexpr std::size_t kCount = 7;

 private:
  static constexpr double kPercent[kCount] = {0.0064, 0.1536,  1.536,  8.192,
                                              24.576, 39.3216, 26.2144};
  std::uint32_t ends_[kCount];  // first slot after the region
  std::uint32_t hits_[kCount];  // largest draw that hits the region
};

template <Touch kTouch, class Probe>
class SlotWorker {
 public:
  SlotWorker(const Config& config, const CommonOptions& common, LatencyTable& latency,
             std::uint64_t worker)
      : config_(config),
        common_(common),
        calls_(latency, worker),
        slots_(config.slots / common.threads),
        regions_(static_cast<std::uint32_t>(slots_.size())),
        // The same seed for all threads, by definition of the workload.
        random_(common.seed) {}

  Tally run() {
    fill_half();
    StepBudget budget(config_.steps, common_.seconds, kChunk);
    while (const std::uint64_t steps = budget.next()) {
      for (std::uint64_t step = 0; step < steps; ++step) {
        Slot& slot = slots_[regions_.choose(random_.next())];
        if (slot.block != nullptr) {
          empty(slot);
        } else {
          fill(slot);
        }
      }
      tally_.ops += steps;
    }
    for (Slot& slot : slots_) {
      if (slot.block != nullptr) empty(slot);
    }
    keep(&byte_sum_);
    return tally_;
  }

 private:
  // One random word decides over 32 slots.
  void fill_half() {
    for (std::size_t i = 0; i < slots_.size(); i += 32) {
      auto bits = static_cast<std::uint32_t>(random_.next());
      for (std::size_t j = i; j < std::min(i + 32, slots_.size()); ++j, bits >>= 1U) {
        if ((bits & 1U) != 0) fill(slots_[j]);
      }
    }
  }

  // 5 to 1024 bytes, half of the blocks 5 to 8.
  std::uint32_t draw_size() {
    const std::uint32_t point = random_.below(128) + 1;
    const auto exponent = static_cast<unsigned>(std::countr_zero(point));
    const std::uint32_t below = 1U << (exponent + 2);
    return below + 1 + random_.below(below);
  }

  void fill(Slot& slot) {
    slot.size = draw_size();
    slot.block = static_cast<unsigned char*>(calls_.allocate(slot.size));
    if (slot.block == nullptr) {
      ++tally_.failed;
      return;
    }
    touch_block<kTouch>(slot.block, slot.size);
  }

  void empty(Slot& slot) {
    if constexpr (kTouch == Touch::kFull) {
      for (std::uint32_t i = 0; i < slot.size; ++i) byte_sum_ += slot.block[i];
    } else if constexpr (kTouch != Touch::kNone) {
      byte_sum_ += slot.block[0];
    }
    calls_.release(slot.block, slot.size);
    slot.block = nullptr;
  }

  const Config& config_;
  const CommonOptions& common_;
  Calls<OperatorApi, Probe> calls_;
  MappedArray<Slot> slots_;
  Regions regions_;
  SplitMix64 random_;
  std::uint64_t byte_sum_ = 0;
  Tally tally_{};
};

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("alloc_test",
                      "Frees or fills slots that are chosen with a strong skew, small blocks.",
                      {.touch = Touch::kFull, .threads = 1, .seed = 41});
  arguments.positional_threads();
  arguments.positional("steps", config.steps, 1, kMaxCount, "steps of each thread").alias("ops");
  arguments.positional("slots", config.slots, Regions::kCount, 1U << 30U,
                       "slots of all threads together");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  const std::uint64_t threads = arguments.common.threads;
  if (config.slots / threads < Regions::kCount) {
    usage_error("slots: %llu are too few for %llu threads; give at least %zu per thread",
                static_cast<unsigned long long>(config.slots),
                static_cast<unsigned long long>(threads), Regions::kCount);
  }

  LatencyTable latency(threads, arguments.common.latency);
  MappedArray<Tally> tallies(threads);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(threads, Spawn::kAlways, [&](std::uint64_t worker) {
      tallies[worker] = SlotWorker<kTouch, Probe>(config, arguments.common, latency, worker).run();
    });
  });
  end_work(arguments.common);

  const Tally total = sum(tallies);
  Report report(arguments);
  report.timed(static_cast<double>(total.ops) / static_cast<double>(config.steps * threads),
               total.ops, seconds, total.failed);
  report.operator_object();
  return report.print(latency);
}
