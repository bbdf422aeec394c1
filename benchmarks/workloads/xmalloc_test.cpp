// xmalloc_test: producers fill batches of blocks, consumers free them. Blocks only ever flow one
// way. The stack of full batches is shared under a mutex; each thread owns its tally.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "common/calls.h"
#include "common/fatal.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

constexpr std::size_t kBatchBlocks = 4096;
constexpr std::uint64_t kMaxBatches = 100;  // producers wait while so many are in flight
constexpr std::size_t kWrittenBytes = 128;  // of each block at most
constexpr double kMixed = -1;               // size argument: draw from kMixedSizes
constexpr std::uint32_t kMixedSizes[] = {8,   12,  16,  24,  32,  48,   64,   96,  128,
                                         192, 256, 384, 512, 768, 1024, 1536, 2048};

struct Config {
  double size = 64;
};

// One malloc of the tested allocator, like the blocks in it.
struct Batch {
  Batch* next;
  void* blocks[kBatchBlocks];
};

// Last in, first out. Ends when closed: push hands the batch back, pop finds nothing.
class BatchStack {
 public:
  bool push(Batch* batch) {
    pthread_mutex_lock(&mutex_);
    while (count_ >= kMaxBatches && !closed_) pthread_cond_wait(&has_room_, &mutex_);
    const bool pushed = !closed_;
    if (pushed) {
      batch->next = top_;
      top_ = batch;
      ++count_;
      pthread_cond_signal(&has_batch_);
    }
    pthread_mutex_unlock(&mutex_);
    return pushed;
  }

  Batch* pop() {
    pthread_mutex_lock(&mutex_);
    while (top_ == nullptr && !closed_) pthread_cond_wait(&has_batch_, &mutex_);
    Batch* batch = closed_ ? nullptr : take();
    pthread_cond_signal(&has_room_);
    pthread_mutex_unlock(&mutex_);
    return batch;
  }

  void close() {
    pthread_mutex_lock(&mutex_);
    closed_ = true;
    pthread_cond_broadcast(&has_room_);
    pthread_cond_broadcast(&has_batch_);
    pthread_mutex_unlock(&mutex_);
  }

  // After the threads are joined: what nobody consumed.
  Batch* leftover() { return top_ == nullptr ? nullptr : take(); }

 private:
  Batch* take() {
    Batch* batch = top_;
    top_ = batch->next;
    --count_;
    return batch;
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t has_room_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t has_batch_ = PTHREAD_COND_INITIALIZER;
  Batch* top_ = nullptr;     // guarded by mutex_, as are the two below
  std::uint64_t count_ = 0;  // batches in the stack
  bool closed_ = false;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        tallies(2 * common_in.threads),
        latency(2 * common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  BatchStack stack;
  std::atomic<bool> stop{false};
  MappedArray<Tally> tallies;
  LatencyTable latency;
};

template <class BlockCalls>
void release_batch(Batch* batch, BlockCalls& calls, Tally& tally) {
  for (void* block : batch->blocks) {
    if (block == nullptr) continue;
    calls.release(block);
    ++tally.ops;
  }
  calls.release(batch);
}

// Producers have even indices, consumers odd ones.
template <Touch kTouch, class Probe>
class BatchWorker {
 public:
  BatchWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        calls_(shared.latency, index),
        random_(thread_seed(shared.common.seed, index)),
        index_(index) {}

  void run() {
    if (index_ % 2 == 0) {
      produce();
    } else {
      consume();
    }
    shared_.tallies[index_] = tally_;
  }

 private:
  void produce() {
    while (!shared_.stop.load(std::memory_order_relaxed)) {  // a hint; close() orders the end
      auto* batch = static_cast<Batch*>(calls_.allocate(sizeof(Batch)));
      if (batch == nullptr) {
        ++tally_.failed;
        sched_yield();
        continue;
      }
      for (void*& block : batch->blocks) block = make_block();
      if (!shared_.stack.push(batch)) {
        Tally uncounted{};
        release_batch(batch, calls_, uncounted);
        return;
      }
    }
  }

  void consume() {
    while (Batch* batch = shared_.stack.pop()) release_batch(batch, calls_, tally_);
  }

  void* make_block() {
    const double asked = shared_.config.size;
    const std::size_t size = asked == kMixed ? kMixedSizes[random_.below(std::size(kMixedSizes))]
                                             : static_cast<std::size_t>(asked);
    void* block = calls_.allocate(size);
    if (block == nullptr) {
      ++tally_.failed;
      return nullptr;
    }
    if constexpr (kTouch == Touch::kFull) {
      touch_block<kTouch>(block, std::min(size, kWrittenBytes));
    } else {
      touch_block<kTouch>(block, size);
    }
    return block;
  }

  Shared& shared_;
  Calls<MallocApi, Probe> calls_;
  SplitMix64 random_;
  std::uint64_t index_;
  Tally tally_{};
};

// One more worker ends the work when the time is up.
void stop_later(Shared& shared) {
  sleep_seconds(shared.common.seconds);
  shared.stop.store(true, std::memory_order_relaxed);  // a hint; close() orders the end
  shared.stack.close();
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments(
      "xmalloc_test",
      "Producers allocate batches of 4096 blocks, consumers free them; each free of "
      "a consumer is an op.",
      {.touch = Touch::kFull, .threads = 2, .seed = 1, .seconds = 2});
  arguments
      .positional("threads", arguments.common.threads, 1, kMaxThreads / 2,
                  "producers, and as many consumers")
      .alias("workers")
      .letter('w');
  arguments.positional("seconds", arguments.common.seconds, 0.001, kMaxSeconds, "time to run")
      .letter('t');
  arguments
      .positional("size", config.size, kMixed, 1U << 24U,
                  "block size, bytes; -1: one of 17 sizes from 8 to 2048; --touch full writes "
                  "the first 128 bytes")
      .letter('s');
  arguments.parse(argc, argv);
  const bool whole = config.size == static_cast<double>(static_cast<std::int64_t>(config.size));
  if (!whole || config.size == 0 || (config.size < 0 && config.size != kMixed)) {
    usage_error("size: %g is neither a whole number of bytes nor -1", config.size);
  }

  Shared shared(config, arguments.common);
  const std::uint64_t workers = 2 * arguments.common.threads;
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(workers + 1, Spawn::kAlways, [&](std::uint64_t worker) {
      if (worker == workers) {
        stop_later(shared);
      } else {
        BatchWorker<kTouch, Probe>(shared, worker).run();
      }
    });
  });
  Calls<MallocApi, NoProbe> calls(shared.latency, 0);
  Tally uncounted{};
  while (Batch* batch = shared.stack.leftover()) release_batch(batch, calls, uncounted);
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  report.extras().field("producers", arguments.common.threads);
  report.extras().field("consumers", arguments.common.threads);
  return report.print(shared.latency);
}
