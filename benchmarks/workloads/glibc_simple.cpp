// glibc_simple: rounds of n blocks of one small size, the first half freed oldest first, the second
// newest first. Free lists deeper than a thread cache; before and after the process has had a
// second thread. Everything belongs to the one thread that runs.
#include <algorithm>

#include "common/calls.h"
#include "common/fatal.h"
#include "common/phase.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t blocks = 2'000'000;
};

constexpr std::size_t kSizes[] = {16, 32, 64};
constexpr std::size_t kLiveCounts[] = {25, 100, 400, 1600};
constexpr std::size_t kMaxLive = 1600;

enum Pass { kWarmUp, kMain, kThread, kMainAgain, kPasses };
constexpr const char* kPassNames[kPasses] = {"warm_up", "main", "thread", "main_again"};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common)
      : config(config_in), latency(1, common.latency) {}

  const Config& config;
  LatencyTable latency;
  MappedArray<void*> live{kMaxLive};
  Tally tally{};
  double pass_seconds[kPasses] = {};
};

template <Touch kTouch, class Probe>
void run_rounds(Shared& shared, std::size_t size, std::size_t count) {
  Calls<MallocApi, Probe> calls(shared.latency, 0);
  const std::uint64_t rounds = shared.config.blocks / count;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      void* block = calls.allocate(size);
      if (block != nullptr) {
        touch_block<kTouch>(block, size);
      } else {
        ++shared.tally.failed;
      }
      shared.live[i] = block;
    }
    for (std::size_t i = 0; i < count / 2; ++i) calls.release(shared.live[i]);
    for (std::size_t i = count; i > count / 2; --i) calls.release(shared.live[i - 1]);
  }
  shared.tally.ops += rounds * count;
}

// All live counts for one size, on the calling thread.
template <Touch kTouch, class Probe>
void run_pass(Shared& shared, Pass pass, std::size_t size) {
  const std::uint64_t start_ns = now_ns();
  for (const std::size_t count : kLiveCounts) run_rounds<kTouch, Probe>(shared, size, count);
  shared.pass_seconds[pass] += seconds_since(start_ns);
}

template <Touch kTouch, class Probe>
void run(Shared& shared) {
  struct Start {
    Shared* shared;
    std::size_t size;
  };
  for (const std::size_t size : kSizes) {
    run_pass<kTouch, Probe>(shared, kWarmUp, size);
    run_pass<kTouch, Probe>(shared, kMain, size);
    Start start{&shared, size};
    const auto enter = [](void* argument) -> void* {
      const auto& values = *static_cast<Start*>(argument);
      run_pass<kTouch, Probe>(*values.shared, kThread, values.size);
      return nullptr;
    };
    join_thread(start_thread(enter, &start));
    run_pass<kTouch, Probe>(shared, kMainAgain, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("glibc_simple",
                      "Allocates and frees runs of small blocks of one size; each pair is an op.",
                      {.touch = Touch::kFull, .threads = 1, .seed = 1});
  arguments.positional("blocks", config.blocks, kMaxLive, kMaxCount,
                       "blocks for each size, live count and pass");
  arguments.parse(argc, argv);
  if (arguments.common.threads != 1) {
    usage_error("threads: this workload is defined for one thread; drop --threads");
  }

  Shared shared(config, arguments.common);
  begin_work();
  const std::uint64_t start_ns = now_ns();
  with_modes(arguments.common, [&]<Touch kTouch, class Probe>() { run<kTouch, Probe>(shared); });
  const double seconds = seconds_since(start_ns);
  end_work(arguments.common);

  Report report(arguments);
  report.rate(shared.tally.ops, seconds, shared.tally.failed);
  report.extras().open_object("pass_seconds");
  for (int pass = 0; pass < kPasses; ++pass) {
    report.extras().field(kPassNames[pass], shared.pass_seconds[pass]);
  }
  report.extras().close_object();
  return report.print(shared.latency);
}
