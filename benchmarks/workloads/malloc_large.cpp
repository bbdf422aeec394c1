// malloc_large: a few slots hold blocks of megabytes, zeroed on arrival and replaced at random.
// Mapping, unmapping or retention of large memory. Each worker owns its slots.
#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

constexpr std::uint64_t kMebibyte = 1U << 20U;

struct Config {
  std::uint64_t steps = 300;
  std::uint64_t slots = 20;
  std::uint64_t min_bytes = 5 * kMebibyte;
  std::uint64_t max_bytes = 25 * kMebibyte;
};

struct Slot {
  void* block;
  std::size_t size;
};

// The new block is a zero-initialised array: --touch full zeroes all of it.
template <Touch kTouch>
void initialise(void* block, std::size_t size) {
  if constexpr (kTouch == Touch::kFull) {
    std::memset(block, 0, size);
    keep(block);
  } else {
    touch_block<kTouch>(block, size);
  }
}

template <Touch kTouch, class Probe>
Tally run_worker(const Config& config, const CommonOptions& common, LatencyTable& latency,
                 std::uint64_t worker) {
  Calls<OperatorApi, Probe> calls(latency, worker);
  MappedArray<Slot> slots(config.slots);
  SplitMix64 random(common.seed + worker);
  Tally tally{};
  StepBudget budget(config.steps, common.seconds, 1);
  while (budget.next() != 0) {
    Slot& slot = slots[random.below(static_cast<std::uint32_t>(config.slots))];
    const std::size_t size = random.between(config.min_bytes, config.max_bytes);
    void* block = calls.allocate(size);
    ++tally.ops;
    if (block == nullptr) {
      ++tally.failed;
      continue;
    }
    initialise<kTouch>(block, size);
    // Only now does the old block go: one more than `slots` are live meanwhile.
    if (slot.block != nullptr) calls.release(slot.block, slot.size);
    slot = {block, size};
  }
  for (const Slot& slot : slots) {
    if (slot.block != nullptr) calls.release(slot.block, slot.size);
  }
  return tally;
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("malloc_large", "Replaces zeroed blocks of many megabytes at random.",
                      {.touch = Touch::kFull, .threads = 1, .seed = 42});
  arguments.positional("steps", config.steps, 1, kMaxCount, "replacements by each thread")
      .alias("ops");
  arguments.positional("slots", config.slots, 1, 1'000'000, "live blocks of each thread");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);

  const std::uint64_t threads = arguments.common.threads;
  LatencyTable latency(threads, arguments.common.latency);
  MappedArray<Tally> tallies(threads);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(threads, Spawn::kIfSeveral, [&](std::uint64_t worker) {
      tallies[worker] = run_worker<kTouch, Probe>(config, arguments.common, latency, worker);
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
