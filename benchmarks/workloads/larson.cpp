// larson: a server whose threads replace random blocks of a slice and hand the slice on to a
// successor thread. Blocks bleed from thread to thread; heaps of dead threads must be taken over. A
// slice belongs to the one live thread of its chain; the stop flag is shared.
#include <atomic>
#include <utility>

#include "common/calls.h"
#include "common/fatal.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t min_bytes = 8;
  std::uint64_t max_bytes = 1000;  // exclusive, as in the original
  std::uint64_t chunks = 5000;
  std::uint64_t rounds = 100;
  bool sized = false;
};

struct Chunk {
  void* block;
  std::size_t size;
};

// Frees the chunk's block and puts a new one of random size in its place.
template <Touch kTouch, class BlockCalls>
bool replace(Chunk& chunk, const Config& config, BlockCalls& calls, SplitMix64& random) {
  if (chunk.block != nullptr) calls.release(chunk.block, chunk.size);
  chunk.size = random.between(config.min_bytes, config.max_bytes - 1);
  chunk.block = calls.allocate(chunk.size);
  if (chunk.block == nullptr) return false;
  touch_block<kTouch>(chunk.block, chunk.size);
  if constexpr (kTouch != Touch::kNone) {
    auto* bytes = static_cast<volatile unsigned char*>(chunk.block);
    if (chunk.size > 1) bytes[1] = 0x3C;
    static_cast<void>(bytes[0]);
  }
  return true;
}

struct Shared;

struct alignas(2 * kCacheLineBytes) Slice {
  Shared* shared;
  std::uint64_t index;
  Chunk* chunks;
  SplitMix64 random{0};
  std::uint64_t replaced;
  std::uint64_t failed;
  std::uint64_t generations;  // threads that have served the slice
  pthread_t thread;           // the current one
  pthread_t predecessor;      // joined by the current one, unless it is the first
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        chunks(common_in.threads * config_in.chunks),
        slices(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  MappedArray<Chunk> chunks;
  MappedArray<Slice> slices;
  LatencyTable latency;
  StartGate gate;
  std::atomic<bool> stop{false};

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t chain_ended = PTHREAD_COND_INITIALIZER;
  std::uint64_t chains_ended = 0;  // guarded by mutex
};

template <Touch kTouch, class Api, class Probe>
class Server {
 public:
  explicit Server(Shared& shared) : shared_(shared) {}

  double run() {
    fill();
    for (Slice& slice : shared_.slices) slice.thread = start_thread(serve_first, &slice);
    const std::uint64_t start_ns = shared_.gate.open(shared_.slices.size());
    sleep_seconds(shared_.common.seconds);
    shared_.stop.store(true, std::memory_order_relaxed);  // the join orders everything else
    pthread_mutex_lock(&shared_.mutex);
    while (shared_.chains_ended < shared_.slices.size()) {
      pthread_cond_wait(&shared_.chain_ended, &shared_.mutex);
    }
    pthread_mutex_unlock(&shared_.mutex);
    for (const Slice& slice : shared_.slices) join_thread(slice.thread);
    const double seconds = seconds_since(start_ns);
    for (const Chunk& chunk : shared_.chunks) {
      if (chunk.block != nullptr) Api::release(chunk.block, chunk.size);
    }
    return seconds;
  }

 private:
  // Before the clock starts: all blocks are made by the main thread, in random order in memory.
  void fill() {
    const std::uint64_t count = shared_.chunks.size();
    const auto bound = static_cast<std::uint32_t>(count);
    SplitMix64 random(shared_.common.seed);
    Calls<Api, NoProbe> calls(shared_.latency, 0);
    Slice& first = shared_.slices[0];
    for (Chunk& chunk : shared_.chunks) {
      if (!replace<kTouch>(chunk, shared_.config, calls, random)) ++first.failed;
    }
    for (std::uint64_t i = count - 1; i > 0; --i) {
      const std::uint32_t other = random.below(static_cast<std::uint32_t>(i + 1));
      std::swap(shared_.chunks[i], shared_.chunks[other]);
    }
    for (std::uint64_t i = 0; i < 4 * count; ++i) {
      Chunk& chunk = shared_.chunks[random.below(bound)];
      if (!replace<kTouch>(chunk, shared_.config, calls, random)) ++first.failed;
    }
    for (std::uint64_t i = 0; i < shared_.slices.size(); ++i) {
      Slice& slice = shared_.slices[i];
      slice.shared = &shared_;
      slice.index = i;
      slice.chunks = &shared_.chunks[i * shared_.config.chunks];
      slice.random = SplitMix64(thread_seed(shared_.common.seed, i));
    }
  }

  static void* serve_first(void* argument) {
    auto& slice = *static_cast<Slice*>(argument);
    slice.shared->gate.pass();
    serve(slice);
    return nullptr;
  }

  static void* serve_next(void* argument) {
    auto& slice = *static_cast<Slice*>(argument);
    join_thread(slice.predecessor);
    serve(slice);
    return nullptr;
  }

  static void serve(Slice& slice) {
    Shared& shared = *slice.shared;
    work(slice, shared);
    ++slice.generations;
    if (!shared.stop.load(std::memory_order_relaxed)) {
      // The successor joins this thread first, so it sees slice.thread once that is stored.
      slice.predecessor = pthread_self();
      slice.thread = start_thread(serve_next, &slice);
      return;
    }
    slice.thread = pthread_self();
    pthread_mutex_lock(&shared.mutex);
    ++shared.chains_ended;
    pthread_cond_signal(&shared.chain_ended);
    pthread_mutex_unlock(&shared.mutex);
  }

  static void work(Slice& slice, Shared& shared) {
    Calls<Api, Probe> calls(shared.latency, slice.index);
    SplitMix64 random = slice.random;
    const auto bound = static_cast<std::uint32_t>(shared.config.chunks);
    const std::uint64_t replacements = shared.config.rounds * shared.config.chunks;
    std::uint64_t done = 0;
    while (done < replacements && !shared.stop.load(std::memory_order_relaxed)) {
      if (!replace<kTouch>(slice.chunks[random.below(bound)], shared.config, calls, random)) {
        ++slice.failed;
      }
      ++done;
    }
    slice.replaced += done;
    slice.random = random;
  }

  Shared& shared_;
};

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("larson",
                      "Threads replace random blocks of a slice and pass the slice on to a new "
                      "thread; each replacement is an op.",
                      {.touch = Touch::kFirst, .threads = 2, .seed = 4141, .seconds = 2});
  arguments.positional("seconds", arguments.common.seconds, 0.001, kMaxSeconds, "time to run");
  arguments.positional("min", config.min_bytes, 1, kMaxBlockBytes, "smallest block, bytes");
  arguments.positional("max", config.max_bytes, 2, kMaxBlockBytes,
                       "sizes lie below this many bytes");
  arguments.positional("chunks", config.chunks, 1, 1U << 24U, "blocks of each thread");
  arguments.positional("rounds", config.rounds, 1, kMaxCount,
                       "a thread ends after rounds x chunks replacements");
  arguments.positional_seed();
  arguments.positional_threads();
  arguments.flag("sized", config.sized, "tell delete the size of the block");
  arguments.parse(argc, argv);
  if (config.min_bytes >= config.max_bytes) {
    usage_error("max: %llu is not above min (%llu); sizes lie between them",
                static_cast<unsigned long long>(config.max_bytes),
                static_cast<unsigned long long>(config.min_bytes));
  }
  if (config.chunks * arguments.common.threads > UINT32_MAX) {
    usage_error("chunks, threads: more than %u blocks in all; lower one of them", UINT32_MAX);
  }

  Shared shared(config, arguments.common);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return config.sized ? Server<kTouch, SizedOperatorApi, Probe>(shared).run()
                        : Server<kTouch, OperatorApi, Probe>(shared).run();
  });
  end_work(arguments.common);

  std::uint64_t replaced = 0;
  std::uint64_t failed = 0;
  std::uint64_t generations = 0;
  for (const Slice& slice : shared.slices) {
    replaced += slice.replaced;
    failed += slice.failed;
    generations += slice.generations;
  }
  Report report(arguments);
  report.rate(replaced, seconds, failed);
  report.operator_object();
  report.extras().field("threads_created", generations);
  return report.print(shared.latency);
}
