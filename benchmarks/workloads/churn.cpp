// churn: short-lived threads, each fills its slots, frees most of the blocks and leaves the rest to
// the thread that follows it. The cost of a thread's first and last calls, and frees on behalf of
// the dead. A lane of slots belongs to the one live thread of that lane.
#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t generations = 5'000;
  std::uint64_t blocks = 200;
  std::uint64_t min_bytes = 16;
  std::uint64_t max_bytes = 1024;
  std::uint64_t keep_pct = 20;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        blocks(common_in.threads * config_in.blocks),
        tallies(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  MappedArray<void*> blocks;  // a row for each lane
  MappedArray<Tally> tallies;
  LatencyTable latency;
};

struct Start {
  Shared* shared;
  std::uint64_t lane;
  std::uint64_t generation;
  pthread_t thread;
};

template <Touch kTouch, class Probe>
void* live_once(void* argument) {
  const auto& start = *static_cast<Start*>(argument);
  Shared& shared = *start.shared;
  const Config& config = shared.config;
  Calls<MallocApi, Probe> calls(shared.latency, start.lane);
  SplitMix64 random(thread_seed(shared.common.seed + start.generation, start.lane));
  void** blocks = &shared.blocks[start.lane * config.blocks];
  Tally tally{};
  for (std::uint64_t i = 0; i < config.blocks; ++i) {
    if (blocks[i] != nullptr) calls.release(blocks[i]);  // left by the thread before
    const std::size_t size = random.between(config.min_bytes, config.max_bytes);
    blocks[i] = calls.allocate(size);
    if (blocks[i] != nullptr) {
      touch_block<kTouch>(blocks[i], size);
    } else {
      ++tally.failed;
    }
  }
  for (std::uint64_t i = 0; i < config.blocks; ++i) {
    if (blocks[i] == nullptr || random.chance(static_cast<std::uint32_t>(config.keep_pct)))
      continue;
    calls.release(blocks[i]);
    blocks[i] = nullptr;
  }
  shared.tallies[start.lane].ops += 1;
  shared.tallies[start.lane].failed += tally.failed;
  return nullptr;
}

// All lanes change their thread together.
template <Touch kTouch, class Probe>
void run(Shared& shared) {
  MappedArray<Start> starts(shared.common.threads);
  StepBudget budget(shared.config.generations, shared.common.seconds, 1);
  for (std::uint64_t generation = 0; budget.next() != 0; ++generation) {
    for (std::uint64_t i = 0; i < starts.size(); ++i) {
      starts[i] = {&shared, i, generation, {}};
      starts[i].thread = start_thread(live_once<kTouch, Probe>, &starts[i]);
    }
    for (const Start& start : starts) join_thread(start.thread);
  }
  for (void* block : shared.blocks) free(block);
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments(
      "churn", "Generations of short-lived threads that inherit blocks; each thread is an op.",
      {.touch = Touch::kEnds, .threads = 2, .seed = 1});
  arguments.positional("threads", arguments.common.threads, 1, kMaxThreads,
                       "threads that live at the same time");
  arguments.positional("generations", config.generations, 1, kMaxCount, "threads one after another")
      .alias("ops");
  arguments.positional("blocks", config.blocks, 1, 1U << 24U, "blocks that a thread allocates");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.positional("keep-pct", config.keep_pct, 0, 100,
                       "share of its blocks that a thread leaves to the next, percent");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);

  Shared shared(config, arguments.common);
  begin_work();
  const std::uint64_t start_ns = now_ns();
  with_modes(arguments.common, [&]<Touch kTouch, class Probe>() { run<kTouch, Probe>(shared); });
  const double seconds = seconds_since(start_ns);
  const std::uint64_t kb_after_work = resident_kb();
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  report.extras().field("rss_after_work_kb", kb_after_work);
  return report.print(shared.latency);
}
