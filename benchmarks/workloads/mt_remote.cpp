// mt_remote: threads in a ring; each frees some of its blocks by handing them to its neighbour.
// Frees by a foreign thread, steadily. Worker i owns its slots, pushes into ring i and drains ring
// i - 1.
#include <sched.h>

#include <atomic>

#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/spsc_ring.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t iters = 10'000'000;
  std::uint64_t slots = 400;
  std::uint64_t min_bytes = 16;
  std::uint64_t max_bytes = 2048;
  std::uint64_t remote_pct = 50;
  std::uint64_t ring = 65536;
  unsigned on_full = 0;  // index into kOnFullWords
};

constexpr const char* kOnFullWords[] = {"wait", "free"};
constexpr unsigned kFreeOnFull = 1;
constexpr std::uint64_t kChunk = 1U << 12U;
constexpr std::uint32_t kSeedStep = 977;

struct alignas(2 * kCacheLineBytes) Counts {
  std::uint64_t steps;
  std::uint64_t allocated;
  std::uint64_t local;     // freed here, as drawn
  std::uint64_t sent;      // handed to the neighbour
  std::uint64_t received;  // freed for the neighbour
  std::uint64_t fallback;  // should have been sent, but the ring was full
  std::uint64_t waits;     // times that a full ring was waited for
  std::uint64_t failed;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        rings(common_in.threads, config_in.ring),
        slots(common_in.threads * config_in.slots),
        counts(common_in.threads),
        done(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  SpscRings rings;
  MappedArray<void*> slots;  // a row for each worker
  MappedArray<Counts> counts;
  MappedArray<std::atomic<bool>> done;  // the worker sends nothing any more
  LatencyTable latency;
};

template <Touch kTouch, class Probe>
class RingWorker {
 public:
  RingWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        calls_(shared.latency, index),
        index_(index),
        source_((index + shared.common.threads - 1) % shared.common.threads) {}

  void run() {
    const Config& config = shared_.config;
    const bool has_neighbour = shared_.common.threads > 1;
    const auto slot_count = static_cast<std::uint32_t>(config.slots);
    const auto min_bytes = static_cast<std::uint32_t>(config.min_bytes);
    const auto span = static_cast<std::uint32_t>(config.max_bytes - config.min_bytes + 1);
    const auto remote_pct = static_cast<std::uint32_t>(config.remote_pct);
    Lcg32 random(static_cast<std::uint32_t>(shared_.common.seed) +
                 kSeedStep * static_cast<std::uint32_t>(index_));
    void** slots = &shared_.slots[index_ * config.slots];

    StepBudget budget(config.iters, shared_.common.seconds, kChunk);
    while (const std::uint64_t steps = budget.next()) {
      for (std::uint64_t step = 0; step < steps; ++step) {
        drain();
        void*& slot = slots[random.next() % slot_count];
        const std::size_t size = min_bytes + random.next() % span;
        if (slot == nullptr) {
          slot = allocate(size);
          continue;
        }
        if (has_neighbour && random.next() % 100 < remote_pct) {
          send(slot);
        } else {
          calls_.release(slot);
          ++counts_.local;
        }
        slot = nullptr;
      }
      counts_.steps += steps;
    }
    finish();
    shared_.counts[index_] = counts_;
  }

 private:
  void* allocate(std::size_t size) {
    void* block = calls_.allocate(size);
    if (block == nullptr) {
      ++counts_.failed;
      return nullptr;
    }
    touch_block<kTouch>(block, size);
    ++counts_.allocated;
    return block;
  }

  std::uint64_t drain() {
    const std::uint64_t blocks =
        shared_.rings.drain(source_, [this](void* block) { calls_.release(block); });
    counts_.received += blocks;
    return blocks;
  }

  void send(void* block) {
    if (shared_.rings.push(index_, block)) {
      ++counts_.sent;
      return;
    }
    if (shared_.config.on_full == kFreeOnFull) {
      calls_.release(block);
      ++counts_.fallback;
      return;
    }
    // Draining the own ring meanwhile keeps a circle of full rings moving.
    ++counts_.waits;
    do {
      drain();
      sched_yield();
    } while (!shared_.rings.push(index_, block));
    ++counts_.sent;
  }

  // One last drain. Where senders wait for room, the worker must take all that still comes.
  void finish() {
    shared_.done[index_].store(true, std::memory_order_release);  // "sender done"
    if (shared_.config.on_full != kFreeOnFull) {
      // pairs with "sender done": what was sent before is seen by the drain after the loop
      for (unsigned empty = 0; !shared_.done[source_].load(std::memory_order_acquire);) {
        empty = drain() > 0 ? 0 : empty + 1;
        if (empty < 64) {
          sched_yield();
        } else {
          sleep_seconds(50e-6);
        }
      }
    }
    drain();
  }

  Shared& shared_;
  Calls<MallocApi, Probe> calls_;
  std::uint64_t index_;
  std::uint64_t source_;  // the neighbour whose ring this worker drains
  Counts counts_{};
};

void free_leftovers(Shared& shared) {
  for (std::uint64_t i = 0; i < shared.common.threads; ++i) shared.rings.drain(i, free);
  for (void* block : shared.slots) free(block);
}

Counts sum(const MappedArray<Counts>& all) {
  Counts total{};
  for (const Counts& counts : all) {
    total.steps += counts.steps;
    total.allocated += counts.allocated;
    total.local += counts.local;
    total.sent += counts.sent;
    total.received += counts.received;
    total.fallback += counts.fallback;
    total.waits += counts.waits;
    total.failed += counts.failed;
  }
  return total;
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void write_counts(JsonWriter& json, const Counts& total, double seconds) {
  const std::uint64_t meant_remote = total.sent + total.fallback;
  json.field("events_per_s",
             static_cast<double>(total.steps + total.received) / (seconds > 0 ? seconds : 1));
  json.field("remote_share", share(total.sent, meant_remote + total.local));
  json.field("fallback_share", share(total.fallback, meant_remote));
  json.field("allocated", total.allocated);
  json.field("local", total.local);
  json.field("sent", total.sent);
  json.field("received", total.received);
  json.field("fallback", total.fallback);
  json.field("waits", total.waits);
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("mt_remote",
                      "Threads in a ring hand a share of their blocks to the neighbour, who frees "
                      "them; each free, malloc or hand-over is an op.",
                      {.touch = Touch::kNone, .threads = 2, .seed = 0x12345678});
  arguments.positional_threads();
  arguments.positional("iters", config.iters, 1, kMaxCount, "steps of each thread").alias("ops");
  arguments.positional("slots", config.slots, 1, 1U << 30U, "slots of each thread");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.positional("remote-pct", config.remote_pct, 0, 100, "share of remote frees, percent");
  arguments.positional("ring", config.ring, 1, 1U << 24U, "pointers that a ring holds");
  arguments.option(
      "on-full", config.on_full, kOnFullWords,
      "a full ring is waited for, or the block is freed here (which changes the work)");
  arguments.option_seconds();
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);

  Shared shared(config, arguments.common);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(arguments.common.threads, Spawn::kAlways,
                    [&](std::uint64_t worker) { RingWorker<kTouch, Probe>(shared, worker).run(); });
  });
  free_leftovers(shared);
  end_work(arguments.common);

  const Counts total = sum(shared.counts);
  Report report(arguments);
  report.rate(total.steps, seconds, total.failed);
  write_counts(report.extras(), total, seconds);
  return report.print(shared.latency);
}
