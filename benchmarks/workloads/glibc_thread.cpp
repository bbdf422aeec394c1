// glibc_thread: each thread replaces the blocks of its slots, small ones mostly, for a fixed time.
// Private churn over many sizes. All threads read the same tables of slots and sizes; the slots are
// their own.
#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

constexpr std::size_t kSlots = 1024;
constexpr std::size_t kSlotChoices = 4096;
constexpr std::size_t kSizeChoices = 8000;
constexpr double kMinBytes = 4;
constexpr double kMaxBytes = 32768;
constexpr std::uint64_t kChunk = 256;

struct Tables {
  explicit Tables(std::uint64_t seed) {
    SplitMix64 random(seed);
    for (std::uint32_t& slot : slots) slot = random.below(kSlots);
    // The density falls with the square of the size: 1 / size is uniform.
    for (std::uint32_t& size : sizes) {
      size = static_cast<std::uint32_t>(
          1 / (1 / kMinBytes + random.unit() * (1 / kMaxBytes - 1 / kMinBytes)));
    }
  }

  MappedArray<std::uint32_t> slots{kSlotChoices};
  MappedArray<std::uint32_t> sizes{kSizeChoices};
};

struct Shared {
  explicit Shared(const CommonOptions& common_in)
      : common(common_in),
        tables(common_in.seed),
        blocks(common_in.threads * kSlots),
        tallies(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const CommonOptions& common;
  Tables tables;
  MappedArray<void*> blocks;  // a row for each worker
  MappedArray<Tally> tallies;
  LatencyTable latency;
};

template <Touch kTouch, class Probe>
void run_worker(Shared& shared, std::uint64_t worker) {
  Calls<MallocApi, Probe> calls(shared.latency, worker);
  void** blocks = &shared.blocks[worker * kSlots];
  std::size_t next_slot = 0;
  std::size_t next_size = 0;
  Tally tally{};
  StepBudget budget(0, shared.common.seconds, kChunk);
  while (const std::uint64_t steps = budget.next()) {
    for (std::uint64_t step = 0; step < steps; ++step) {
      void*& block = blocks[shared.tables.slots[next_slot]];
      calls.release(block);
      const std::size_t size = shared.tables.sizes[next_size];
      block = calls.allocate(size);
      if (block != nullptr) {
        touch_block<kTouch>(block, size);
      } else {
        ++tally.failed;
      }
      next_slot = next_slot + 1 == kSlotChoices ? 0 : next_slot + 1;
      next_size = next_size + 1 == kSizeChoices ? 0 : next_size + 1;
    }
    tally.ops += steps;
  }
  shared.tallies[worker] = tally;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments(
      "glibc_thread",
      "Threads replace the blocks of their slots; each free with its malloc is an op.",
      {.touch = Touch::kFull, .threads = 2, .seed = 88, .seconds = 2});
  arguments.positional_threads();
  arguments.positional("seconds", arguments.common.seconds, 0.001, kMaxSeconds, "time to run");
  arguments.parse(argc, argv);

  Shared shared(arguments.common);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(arguments.common.threads, Spawn::kAlways,
                    [&](std::uint64_t worker) { run_worker<kTouch, Probe>(shared, worker); });
  });
  for (void* block : shared.blocks) free(block);
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  return report.print(shared.latency);
}
