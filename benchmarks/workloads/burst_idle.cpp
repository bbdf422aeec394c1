// burst_idle: threads allocate a burst, free all but a share of it, and rest; again and again. How
// much memory stays resident while nothing happens, with the threads and their caches still alive.
// Each worker owns its slots; worker 0 reads the resident size while the others wait at the
// barrier.
#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t blocks = 100'000;
  double idle_s = 0.2;
  std::uint64_t cycles = 5;
  std::uint64_t keep_pct = 0;
  std::uint64_t min_bytes = 16;
  std::uint64_t max_bytes = 1024;
};

constexpr std::uint64_t kMaxCycles = 500;

// Resident KiB at three moments of a cycle.
struct CycleSizes {
  std::uint64_t after_burst;
  std::uint64_t after_free;
  std::uint64_t after_idle;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        blocks(common_in.threads * config_in.blocks),
        tallies(common_in.threads),
        sizes(config_in.cycles),
        barrier(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  MappedArray<void*> blocks;  // a row for each worker
  MappedArray<Tally> tallies;
  MappedArray<CycleSizes> sizes;  // written by worker 0
  Barrier barrier;
  LatencyTable latency;
};

template <Touch kTouch, class Probe>
class BurstWorker {
 public:
  BurstWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        calls_(shared.latency, index),
        random_(thread_seed(shared.common.seed, index)),
        blocks_(&shared.blocks[index * shared.config.blocks]),
        index_(index) {}

  void run() {
    for (CycleSizes& sizes : shared_.sizes) {
      burst();
      observe(sizes.after_burst);
      release_most(shared_.config.keep_pct);
      observe(sizes.after_free);
      sleep_seconds(shared_.config.idle_s);
      observe(sizes.after_idle);
    }
    release_most(0);
    shared_.tallies[index_] = tally_;
  }

 private:
  // Fills the empty slots.
  void burst() {
    const Config& config = shared_.config;
    for (std::uint64_t i = 0; i < config.blocks; ++i) {
      if (blocks_[i] != nullptr) continue;
      const std::size_t size = random_.between(config.min_bytes, config.max_bytes);
      blocks_[i] = calls_.allocate(size);
      if (blocks_[i] == nullptr) {
        ++tally_.failed;
        continue;
      }
      touch_block<kTouch>(blocks_[i], size);
      ++tally_.ops;
    }
  }

  void release_most(std::uint64_t keep_pct) {
    for (std::uint64_t i = 0; i < shared_.config.blocks; ++i) {
      if (blocks_[i] == nullptr || random_.chance(static_cast<std::uint32_t>(keep_pct))) continue;
      calls_.release(blocks_[i]);
      blocks_[i] = nullptr;
      ++tally_.ops;
    }
  }

  void observe(std::uint64_t& kb) {
    shared_.barrier.wait();
    if (index_ == 0) kb = resident_kb();
    shared_.barrier.wait();
  }

  Shared& shared_;
  Calls<MallocApi, Probe> calls_;
  SplitMix64 random_;
  void** blocks_;
  std::uint64_t index_;
  Tally tally_{};
};

void write_sizes(JsonWriter& json, const char* key, const MappedArray<CycleSizes>& sizes,
                 std::uint64_t CycleSizes::*moment) {
  json.open_array(key);
  for (const CycleSizes& cycle : sizes) json.element(cycle.*moment);
  json.close_array();
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("burst_idle",
                      "Bursts of allocation with rests between them; each malloc or free is an op.",
                      {.touch = Touch::kFull, .threads = 2, .seed = 1});
  arguments.positional("blocks", config.blocks, 1, 1U << 28U, "blocks of each thread's burst");
  arguments.positional("idle-s", config.idle_s, 0, kMaxSeconds, "rest after each burst, seconds");
  arguments.positional("cycles", config.cycles, 1, kMaxCycles, "bursts");
  arguments.positional("keep-pct", config.keep_pct, 0, 100, "share that survives a rest, percent");
  arguments.positional_threads();
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);

  Shared shared(config, arguments.common);
  const double elapsed_s = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(arguments.common.threads, Spawn::kAlways, [&](std::uint64_t worker) {
      BurstWorker<kTouch, Probe>(shared, worker).run();
    });
  });
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  // The rests are not work.
  const double busy_s = elapsed_s - config.idle_s * static_cast<double>(config.cycles);
  Report report(arguments);
  report.rate(total.ops, busy_s, total.failed);
  report.extras().field("elapsed_s", elapsed_s);
  write_sizes(report.extras(), "rss_after_burst_kb", shared.sizes, &CycleSizes::after_burst);
  write_sizes(report.extras(), "rss_after_free_kb", shared.sizes, &CycleSizes::after_free);
  write_sizes(report.extras(), "rss_after_idle_kb", shared.sizes, &CycleSizes::after_idle);
  return report.print(shared.latency);
}
