// realloc_growth: several vectors grow by realloc, in turn, from a few bytes to many megabytes.
// Growth in place, moving pages instead of copying, and the holes that growth leaves behind. Each
// worker owns its vectors.
#include <algorithm>
#include <cstring>
#include <utility>

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
  std::uint64_t vectors = 4;
  std::uint64_t start_bytes = 16;
  std::uint64_t limit_bytes = 64U << 20U;
  std::uint64_t growth_pct = 50;
  std::uint64_t rounds = 3;
};

// A stamp at either end of a vector; growth must preserve both.
using Stamp = std::uint64_t;

struct Vector {
  unsigned char* bytes;
  std::size_t size;
  Stamp stamp;
};

template <Touch kTouch, class Probe>
class Grower {
 public:
  Grower(const Config& config, const CommonOptions& common, LatencyTable& latency,
         std::uint64_t worker)
      : config_(config),
        common_(common),
        calls_(latency, worker),
        vectors_(config.vectors),
        random_(thread_seed(common.seed, worker)) {}

  // Returns the tally; rounds_done() is the number of rounds.
  Tally run() {
    StepBudget budget(config_.rounds, common_.seconds, 1);
    for (; budget.next() != 0; ++rounds_done_) run_round();
    return tally_;
  }
  [[nodiscard]] std::uint64_t rounds_done() const { return rounds_done_; }

 private:
  // All vectors from empty to the limit and away. Each turn one vector that has not reached the
  // limit grows, chosen at random, so that their blocks lie between each other's.
  void run_round() {
    auto growing = static_cast<std::uint32_t>(vectors_.size());
    while (growing > 0) {
      const std::uint32_t chosen = random_.below(growing);
      if (!grow(vectors_[chosen])) std::swap(vectors_[chosen], vectors_[--growing]);
    }
    for (Vector& vector : vectors_) {
      check(vector);
      if (vector.bytes != nullptr) calls_.release(vector.bytes, vector.size);
      vector = {};
    }
  }

  // False once the vector has its final size, or when memory is exhausted.
  bool grow(Vector& vector) {
    if (vector.size >= config_.limit_bytes) return false;
    const std::size_t longer = vector.size + vector.size * config_.growth_pct / 100;
    const std::size_t size = std::min<std::size_t>(
        std::max<std::size_t>({longer, vector.size + 1, config_.start_bytes}), config_.limit_bytes);
    void* moved = calls_.resize(vector.bytes, size);
    ++tally_.ops;
    if (moved == nullptr) {
      ++tally_.failed;
      return false;
    }
    vector.bytes = static_cast<unsigned char*>(moved);
    check(vector);
    touch_block<kTouch>(vector.bytes + vector.size, size - vector.size);
    vector.size = size;
    stamp(vector);
    return true;
  }

  void stamp(Vector& vector) {
    if (kTouch == Touch::kNone || vector.size < 2 * sizeof(Stamp)) return;
    vector.stamp = random_.next();
    std::memcpy(vector.bytes, &vector.stamp, sizeof(Stamp));
    if (kTouch == Touch::kFirst) return;
    std::memcpy(vector.bytes + vector.size - sizeof(Stamp), &vector.stamp, sizeof(Stamp));
  }

  // vector.size is the size at the last stamp.
  static void check(const Vector& vector) {
    if (kTouch == Touch::kNone || vector.size < 2 * sizeof(Stamp)) return;
    Stamp first = 0;
    Stamp last = vector.stamp;
    std::memcpy(&first, vector.bytes, sizeof(Stamp));
    if (kTouch != Touch::kFirst) {
      std::memcpy(&last, vector.bytes + vector.size - sizeof(Stamp), sizeof(Stamp));
    }
    if (first != vector.stamp || last != vector.stamp) {
      fatal("realloc lost the contents of a vector of %zu bytes", vector.size);
    }
  }

  const Config& config_;
  const CommonOptions& common_;
  Calls<MallocApi, Probe> calls_;
  MappedArray<Vector> vectors_;
  SplitMix64 random_;
  std::uint64_t rounds_done_ = 0;
  Tally tally_{};
};

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("realloc_growth",
                      "Vectors that grow by realloc, interleaved; each realloc is an op.",
                      {.touch = Touch::kFull, .threads = 1, .seed = 1});
  arguments.positional("vectors", config.vectors, 1, 1U << 20U, "vectors of each thread");
  arguments.positional("start", config.start_bytes, 1, kMaxBlockBytes, "first size, bytes");
  arguments.positional("limit", config.limit_bytes, 1, 16 * kMaxBlockBytes, "last size, bytes");
  arguments.positional("growth-pct", config.growth_pct, 1, 1000, "growth by each realloc, percent");
  arguments.positional("rounds", config.rounds, 1, kMaxCount, "times that all vectors grow");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  Arguments::require_order("start", config.start_bytes, "limit", config.limit_bytes);

  const std::uint64_t threads = arguments.common.threads;
  LatencyTable latency(threads, arguments.common.latency);
  MappedArray<Tally> tallies(threads);
  MappedArray<std::uint64_t> rounds(threads);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(threads, Spawn::kIfSeveral, [&](std::uint64_t worker) {
      Grower<kTouch, Probe> grower(config, arguments.common, latency, worker);
      tallies[worker] = grower.run();
      rounds[worker] = grower.rounds_done();
    });
  });
  end_work(arguments.common);

  const Tally total = sum(tallies);
  std::uint64_t rounds_done = 0;
  for (const std::uint64_t count : rounds) rounds_done += count;
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  report.extras().field("rounds_done", rounds_done);
  report.extras().field("grown_bytes_per_s",
                        static_cast<double>(rounds_done * config.vectors * config.limit_bytes) /
                            (seconds > 0 ? seconds : 1));
  return report.print(latency);
}
