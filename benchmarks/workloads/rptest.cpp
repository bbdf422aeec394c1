// rptest: threads walk over their slots with two cursors, one frees, one refills; now and then a
// whole group of blocks goes to another thread to be freed there. Wide size range, some alignment.
// A worker owns its slots; each worker's inbox is a lock-free stack that anybody pushes to and it
// alone empties.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t fixed = 0;
  std::uint64_t linear = 1;
  std::uint64_t cross = 2;
  std::uint64_t loops = 4000;
  std::uint64_t slots = 1000;
  std::uint64_t ops = 100;
  std::uint64_t min_bytes = 8;
  std::uint64_t max_bytes = 16000;
};

constexpr int kProcessRounds = 2;  // each with new threads
constexpr int kPasses = 2;         // of each thread
constexpr std::size_t kUniformCount = 2000;
constexpr std::size_t kAllocateCount = 311;
constexpr std::size_t kFreeCount = 257;
constexpr std::uint64_t kFreeStride = 11;
constexpr std::uint64_t kAllocateStride = 7;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kAlignedBelow = 4096;

// Blocks on their way to the thread that frees them. Header and array are blocks themselves.
struct Group {
  Group* next;
  void** blocks;
  std::size_t count;
};

struct alignas(2 * kCacheLineBytes) Inbox {
  std::atomic<Group*> top;

  void push(Group* group) {
    group->next = top.load(std::memory_order_relaxed);  // confirmed by the exchange
    // "group sent"
    while (!top.compare_exchange_weak(group->next, group, std::memory_order_release,
                                      std::memory_order_relaxed)) {
    }
  }
  // pairs with "group sent". Only whole stacks are taken, so no tag is needed against reuse.
  Group* take_all() { return top.exchange(nullptr, std::memory_order_acquire); }
};

struct alignas(2 * kCacheLineBytes) WorkerTime {
  std::uint64_t loop_ns;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        inboxes(common_in.threads),
        slots(common_in.threads * config_in.slots),
        tallies(common_in.threads),
        times(common_in.threads),
        barrier(common_in.threads),
        latency(common_in.threads, common_in.latency) {
    SplitMix64 random(common.seed);
    for (double& value : uniform) value = random.unit();
    for (std::uint64_t& count : allocations) count = config.ops * random.between(30, 99) / 100;
    for (std::uint64_t& count : frees) count = config.ops * random.between(30, 99) * 8 / 1000;
  }

  const Config& config;
  const CommonOptions& common;
  MappedArray<double> uniform{kUniformCount};
  MappedArray<std::uint64_t> allocations{kAllocateCount};  // steps of the allocation cursor
  MappedArray<std::uint64_t> frees{kFreeCount};            // steps of the free cursor
  MappedArray<Inbox> inboxes;
  MappedArray<void*> slots;  // a row for each worker
  MappedArray<Tally> tallies;
  MappedArray<WorkerTime> times;
  Barrier barrier;
  std::atomic<std::uint64_t> passes_finished{0};  // over all workers and passes
  LatencyTable latency;
};

template <Touch kTouch, class Probe>
class CursorWorker {
 public:
  CursorWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        config_(shared.config),
        calls_(shared.latency, index),
        slots_(&shared.slots[index * shared.config.slots]),
        index_(index),
        size_position_(index * 127 % kUniformCount) {}

  // `passes_before`: passes that all workers together have finished before this one.
  void run_pass(std::uint64_t pass, std::uint64_t passes_before) {
    for (std::uint64_t loop = 0; loop < config_.loops; ++loop) {
      Group* incoming = shared_.inboxes[index_].take_all();
      const bool sends = shared_.common.threads > 1 && config_.cross > 0 &&
                         loop % config_.cross == 0 && finished() == passes_before;
      const std::uint64_t start_ns = now_ns();
      walk_and_free(shared_.frees[(pass + loop) % kFreeCount]);
      release_groups(incoming);
      const std::uint64_t steps = shared_.allocations[(pass + loop) % kAllocateCount];
      walk_and_allocate(steps);
      if (sends) send_group(steps);
      loop_ns_ += now_ns() - start_ns;
    }
    finish_pass(passes_before + shared_.common.threads);
  }

  void publish() {
    shared_.tallies[index_].ops += tally_.ops;
    shared_.tallies[index_].failed += tally_.failed;
    shared_.times[index_].loop_ns += loop_ns_;
  }

 private:
  [[nodiscard]] std::uint64_t finished() const {
    return shared_.passes_finished.load(std::memory_order_acquire);  // pairs with "pass finished"
  }

  void walk_and_free(std::uint64_t steps) {
    for (std::uint64_t step = 0; step < steps; ++step) {
      release_slot(free_cursor_);
      free_cursor_ = (free_cursor_ + kFreeStride) % config_.slots;
    }
  }

  void walk_and_allocate(std::uint64_t steps) {
    for (std::uint64_t step = 0; step < steps; ++step) {
      release_slot(allocate_cursor_);
      slots_[allocate_cursor_] = allocate();
      allocate_cursor_ = (allocate_cursor_ + kAllocateStride) % config_.slots;
    }
  }

  void release_slot(std::uint64_t slot) {
    if (slots_[slot] == nullptr) return;
    release(slots_[slot]);
    slots_[slot] = nullptr;
  }

  void release(void* block) {
    calls_.release(block);
    ++tally_.ops;
  }

  void release_groups(Group* group) {
    while (group != nullptr) {
      Group* next = group->next;
      for (std::size_t i = 0; i < group->count; ++i) {
        if (group->blocks[i] != nullptr) release(group->blocks[i]);
      }
      release(group->blocks);
      release(group);
      group = next;
    }
  }

  // The next worker in turn, never this one, gets as many blocks as this loop allocated.
  void send_group(std::uint64_t count) {
    auto* group = static_cast<Group*>(counted(calls_.allocate(sizeof(Group))));
    if (group == nullptr) return;
    group->blocks = static_cast<void**>(counted(calls_.allocate(count * sizeof(void*))));
    if (group->blocks == nullptr) {
      release(group);
      return;
    }
    group->count = count;
    for (std::size_t i = 0; i < count; ++i) group->blocks[i] = allocate();
    const std::uint64_t others = shared_.common.threads - 1;
    const std::uint64_t target = (index_ + 1 + turn_++ % others) % shared_.common.threads;
    shared_.inboxes[target].push(group);
  }

  void* counted(void* block) {
    if (block == nullptr) {
      ++tally_.failed;
    } else {
      ++tally_.ops;
    }
    return block;
  }

  double next_uniform() {
    size_position_ = size_position_ + 1 == kUniformCount ? 0 : size_position_ + 1;
    return shared_.uniform[size_position_];
  }

  // Linear drop-off: a product of two draws, so that small sizes are the frequent ones.
  std::size_t draw_size() {
    if (config_.fixed != 0) return config_.min_bytes;
    const auto range = static_cast<double>(config_.max_bytes - config_.min_bytes);
    double share = next_uniform();
    if (config_.linear != 0) {
      const double second = next_uniform();
      const double third = next_uniform();
      share = third * std::fabs(1 - share - second);
    }
    return config_.min_bytes + static_cast<std::size_t>(range * share);
  }

  void* allocate() {
    const std::size_t size = draw_size();
    std::size_t alignment = 0;
    if (size < kAlignedBelow) {
      alignment = alignment_turn_ * 8;
      alignment_turn_ = (alignment_turn_ + 1) % 3;
    }
    void* block = nullptr;
    if (alignment != 0) {
      block = counted(calls_.allocate_aligned(alignment, size));
      if (kTouch == Touch::kFull && block != nullptr) std::memset(block, 0, size);
    } else {
      block =
          counted(kTouch == Touch::kFull ? calls_.allocate_zeroed(1, size) : calls_.allocate(size));
    }
    if (block != nullptr) write_marks(block, size);
    return block;
  }

  // The size in the first word, a byte in each page, the last byte.
  static void write_marks(void* block, std::size_t size) {
    if constexpr (kTouch == Touch::kNone) return;
    if (size >= sizeof(std::uint32_t)) {
      const auto word = static_cast<std::uint32_t>(size);
      std::memcpy(block, &word, sizeof(word));
    }
    auto* bytes = static_cast<volatile unsigned char*>(block);
    if constexpr (kTouch == Touch::kFull) {
      for (std::size_t i = kPageBytes; i < size; i += kPageBytes) bytes[i] = 1;
    }
    if constexpr (kTouch != Touch::kFirst) bytes[size - 1] = 1;
    keep(block);
  }

  // The others may still be sending: frees what comes until all have finished, then everything.
  void finish_pass(std::uint64_t passes_wanted) {
    shared_.passes_finished.fetch_add(1, std::memory_order_acq_rel);  // "pass finished"
    for (unsigned empty = 0; finished() < passes_wanted;) {
      empty = take_and_release() ? 0 : empty + 1;
      if (empty < 64) {
        sched_yield();
      } else {
        sleep_seconds(50e-6);
      }
    }
    take_and_release();
    const std::uint64_t start_ns = now_ns();
    for (std::uint64_t slot = 0; slot < config_.slots; ++slot) release_slot(slot);
    loop_ns_ += now_ns() - start_ns;
    shared_.barrier.wait();
  }

  bool take_and_release() {
    Group* incoming = shared_.inboxes[index_].take_all();
    if (incoming == nullptr) return false;
    const std::uint64_t start_ns = now_ns();
    release_groups(incoming);
    loop_ns_ += now_ns() - start_ns;
    return true;
  }

  Shared& shared_;
  const Config& config_;
  Calls<MallocApi, Probe> calls_;
  void** slots_;
  std::uint64_t index_;
  std::size_t size_position_;
  std::uint64_t free_cursor_ = 0;
  std::uint64_t allocate_cursor_ = 0;
  std::uint64_t turn_ = 0;
  std::size_t alignment_turn_ = 0;
  std::uint64_t loop_ns_ = 0;
  Tally tally_{};
};

template <Touch kTouch, class Probe>
double run(Shared& shared) {
  double elapsed_s = 0;
  std::uint64_t passes_before = 0;
  for (int round = 0; round < kProcessRounds; ++round) {
    elapsed_s += run_team(shared.common.threads, Spawn::kAlways, [&](std::uint64_t index) {
      CursorWorker<kTouch, Probe> worker(shared, index);
      for (std::uint64_t pass = 0; pass < kPasses; ++pass) {
        worker.run_pass(pass, passes_before + pass * shared.common.threads);
      }
      worker.publish();
    });
    passes_before += kPasses * shared.common.threads;
  }
  return elapsed_s;
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments(
      "rptest",
      "Threads free and refill slots of many sizes and send groups of blocks to each "
      "other; each malloc or free is an op, per second of loop time summed over "
      "threads.",
      {.touch = Touch::kFull, .threads = 2, .seed = 1});
  arguments.positional_threads();
  arguments.positional("random", config.fixed, 0, 1, "0: random sizes, 1: all blocks of min bytes");
  arguments.positional("linear", config.linear, 0, 1,
                       "distribution of random sizes; 0: even, 1: linear drop-off");
  arguments.positional("cross", config.cross, 0, 1'000'000,
                       "every so many loops a group goes to another thread; 0: never");
  arguments.positional("loops", config.loops, 1, kMaxCount, "loops of each of the four passes");
  arguments.positional("slots", config.slots, 1, 1U << 24U, "slots of each thread");
  arguments.positional("ops", config.ops, 4, 1U << 24U, "base of the operations in a loop");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 1, kMaxBlockBytes, "largest block, bytes");
  arguments.parse(argc, argv);
  Arguments::require_order("min", config.min_bytes, "max", config.max_bytes);

  Shared shared(config, arguments.common);
  const double elapsed_s = with_modes(
      arguments.common, [&]<Touch kTouch, class Probe>() { return run<kTouch, Probe>(shared); });
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  std::uint64_t loop_ns = 0;
  for (const WorkerTime& time : shared.times) loop_ns += time.loop_ns;
  Report report(arguments);
  report.rate(total.ops, static_cast<double>(loop_ns) / kNsPerSecond, total.failed);
  report.extras().field("elapsed_s", elapsed_s);
  return report.print(shared.latency);
}
