// The common body of cache_scratch and cache_thrash: do blocks of different threads share a cache
// line? Each thread writes into small blocks of its own; only the allocator's placement can make
// the threads slow each other down.
#pragma once

#include <algorithm>

#include "common/calls.h"
#include "common/phase.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace workload {

struct CacheSharingConfig {
  std::uint64_t iterations = 1000;
  std::uint64_t object_bytes = 1;
  std::uint64_t repetitions = 2'000'000;
  std::uint64_t concurrency = 0;
};

// Writes each byte and reads it back, `passes` times. Volatile: the stores are the workload.
template <Touch kTouch>
inline void write_passes(void* object, std::uint64_t bytes, std::uint64_t passes) {
  if constexpr (kTouch == Touch::kNone) return;
  auto* volatile_bytes = static_cast<volatile unsigned char*>(object);
  const std::uint64_t step = kTouch == Touch::kEnds && bytes > 1 ? bytes - 1 : 1;
  const std::uint64_t end = kTouch == Touch::kFirst ? 1 : bytes;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    for (std::uint64_t i = 0; i < end; i += step) {
      volatile_bytes[i] = static_cast<unsigned char>(pass);
      static_cast<void>(volatile_bytes[i]);
    }
  }
}

// `gift`: an object that another thread made, deleted first; or null.
template <Touch kTouch, class Probe>
Tally run_cache_worker(const CacheSharingConfig& config, const CommonOptions& common,
                       LatencyTable& latency, std::uint64_t worker, void* gift) {
  Calls<OperatorApi, Probe> calls(latency, worker);
  Tally tally{};
  if (gift != nullptr) calls.release(gift, config.object_bytes);
  // The total of writes is the same for any number of threads.
  const std::uint64_t passes = std::max<std::uint64_t>(config.repetitions / common.threads, 1);
  StepBudget budget(config.iterations, common.seconds, 1);
  while (budget.next() != 0) {
    ++tally.ops;
    void* object = calls.allocate(config.object_bytes);
    if (object == nullptr) {
      ++tally.failed;
      continue;
    }
    write_passes<kTouch>(object, config.object_bytes, passes);
    calls.release(object, config.object_bytes);
  }
  return tally;
}

// With `hand_out`, the main thread makes one object per thread, side by side, and each thread
// starts by deleting its own: an allocator that reuses it there has the threads share a line ever
// after.
inline int run_cache_sharing(const char* name, const char* summary, bool hand_out, int argc,
                             char** argv) {
  CacheSharingConfig config;
  Arguments arguments(name, summary, {.touch = Touch::kFull, .threads = 2, .seed = 1});
  arguments.positional_threads();
  arguments.positional("iterations", config.iterations, 1, kMaxCount, "objects of each thread")
      .alias("ops");
  arguments.positional("object-size", config.object_bytes, 1, kMaxBlockBytes, "bytes");
  arguments.positional("repetitions", config.repetitions, 1, kMaxCount,
                       "writes to each byte of an object, divided by the threads");
  arguments.positional("concurrency", config.concurrency, 0, kMaxThreads,
                       "hint to the system, 0 for none");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  pthread_setconcurrency(static_cast<int>(config.concurrency));

  const std::uint64_t threads = arguments.common.threads;
  LatencyTable latency(threads, arguments.common.latency);
  MappedArray<Tally> tallies(threads);
  MappedArray<void*> gifts(threads);
  if (hand_out) {
    for (void*& gift : gifts) gift = array_new(config.object_bytes);
  }
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(threads, Spawn::kAlways, [&](std::uint64_t worker) {
      tallies[worker] =
          run_cache_worker<kTouch, Probe>(config, arguments.common, latency, worker, gifts[worker]);
    });
  });
  end_work(arguments.common);

  const Tally total = sum(tallies);
  Report report(arguments);
  report.timed(static_cast<double>(total.ops) / static_cast<double>(config.iterations * threads),
               total.ops, seconds, total.failed);
  report.operator_object();
  return report.print(latency);
}

}  // namespace workload
