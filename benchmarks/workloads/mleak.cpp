// mleak: threads that live for one small block, which survives them. Are the heaps of dead threads
// taken over? Resident memory matters here, not speed. The global slots are shared through atomic
// exchange; everything else is a thread's own.
#include <atomic>

#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/team.h"

namespace {

using namespace workload;

constexpr std::uint64_t kRoundsPerUnit = 100;
constexpr std::size_t kSlots = 1000;
constexpr std::size_t kBlockWords = 16;

struct Config {
  std::uint64_t factor = 20;
};

struct Shared {
  explicit Shared(const CommonOptions& common_in)
      : common(common_in), latency(common_in.threads, common_in.latency) {}

  const CommonOptions& common;
  MappedArray<std::atomic<void*>> slots{kSlots};
  std::atomic<std::uint64_t> failed{0};
  LatencyTable latency;
};

struct Start {
  Shared* shared;
  std::uint64_t worker;
  std::uint64_t round;
  pthread_t thread;
};

template <Touch kTouch, class Probe>
void* leave_one_block(void* argument) {
  const auto& start = *static_cast<Start*>(argument);
  Shared& shared = *start.shared;
  Calls<MallocApi, Probe> calls(shared.latency, start.worker);
  SplitMix64 random(thread_seed(shared.common.seed + start.round, start.worker));
  void* block = calls.allocate_zeroed(kBlockWords, sizeof(std::uint64_t));
  if (block == nullptr) {
    shared.failed.fetch_add(1, std::memory_order_relaxed);  // a plain count
    return nullptr;
  }
  touch_block<kTouch>(block, kBlockWords * sizeof(std::uint64_t));
  // The contents are handed over with the pointer; the partner is this line in another thread.
  void* previous = shared.slots[random.below(kSlots)].exchange(block, std::memory_order_acq_rel);
  if (previous != nullptr) calls.release(previous);
  return nullptr;
}

// Returns the rounds done.
template <Touch kTouch, class Probe>
std::uint64_t run(Shared& shared, std::uint64_t rounds) {
  MappedArray<Start> starts(shared.common.threads);
  StepBudget budget(rounds, shared.common.seconds, 1);
  std::uint64_t round = 0;
  for (; budget.next() != 0; ++round) {
    for (std::uint64_t i = 0; i < starts.size(); ++i) {
      starts[i] = {&shared, i, round, {}};
      starts[i].thread = start_thread(leave_one_block<kTouch, Probe>, &starts[i]);
    }
    for (const Start& start : starts) join_thread(start.thread);
  }
  for (std::atomic<void*>& slot : shared.slots) {
    free(slot.load(std::memory_order_relaxed));  // all threads are joined
  }
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("mleak",
                      "Rounds of threads that each leave one block behind; each thread is an op.",
                      {.touch = Touch::kNone, .threads = 10, .seed = 1});
  arguments.positional("factor", config.factor, 1, kMaxCount / kRoundsPerUnit,
                       "hundreds of rounds");
  arguments.option_seconds();
  arguments.parse(argc, argv);

  Shared shared(arguments.common);
  begin_work();
  const std::uint64_t start_ns = now_ns();
  const std::uint64_t rounds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run<kTouch, Probe>(shared, config.factor * kRoundsPerUnit);
  });
  const double seconds = seconds_since(start_ns);
  const std::uint64_t kb_after_work = resident_kb();
  end_work(arguments.common);

  Report report(arguments);
  report.rate(rounds * arguments.common.threads, seconds,
              shared.failed.load(std::memory_order_relaxed));
  report.extras().field("rss_after_work_kb", kb_after_work);
  return report.print(shared.latency);
}
