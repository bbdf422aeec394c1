// mstress: threads live for one round each, mix temporary and retained blocks of all sizes and swap
// some with each other through global slots. Migration of blocks, dying threads, resident memory.
// Each worker owns its two lists; the transfer slots are shared through atomic exchange.
#include <atomic>

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
  std::uint64_t scale = 100;
  std::uint64_t rounds = 100;
};

using Word = std::uint64_t;
constexpr Word kCookie = 0xBF58476D1CE4E5B9U;
constexpr std::size_t kTransferSlots = 1000;
constexpr std::size_t kListStep = 100'000;  // the temporary list grows by so many pointers
constexpr std::uint32_t kTemporaryPct = 51;
constexpr std::uint32_t kFreePct = 67;
constexpr std::uint32_t kExchangePct = 26;
constexpr std::uint32_t kEnlargePct = 2;
constexpr std::uint32_t kBetweenRoundsPct = 51;
constexpr unsigned kTemporaryExponents = 5;  // 8 to 128 bytes
constexpr unsigned kRetainedExponents = 7;   // 8 to 512 bytes

// A block says itself how long it is: word i holds (words - i) ^ cookie. With --touch ends only the
// first and the last word do, and without touch nothing is checked.
template <Touch kTouch>
void fill_block(Word* block, std::size_t words) {
  if constexpr (kTouch == Touch::kFull) {
    for (std::size_t i = 0; i < words; ++i) block[i] = (words - i) ^ kCookie;
  } else if constexpr (kTouch != Touch::kNone) {
    block[0] = words ^ kCookie;
    if constexpr (kTouch == Touch::kEnds) {
      if (words > 1) block[words - 1] = 1 ^ kCookie;
    }
  }
  keep(block);
}

template <Touch kTouch>
void verify_block(const Word* block) {
  if constexpr (kTouch != Touch::kNone) {
    const std::size_t words = block[0] ^ kCookie;
    const auto check = [&](std::size_t i) {
      if ((block[i] ^ kCookie) != words - i) {
        fatal("block %p of %zu words is damaged at word %zu", static_cast<const void*>(block),
              words, i);
      }
    };
    if constexpr (kTouch == Touch::kFull) {
      for (std::size_t i = 0; i < words; ++i) check(i);
    } else if constexpr (kTouch == Touch::kEnds) {
      if (words > 1) check(words - 1);
    }
  }
}

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        transfer(kTransferSlots),
        tallies(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  MappedArray<std::atomic<Word*>> transfer;
  MappedArray<Tally> tallies;
  LatencyTable latency;
};

// One thread's part of one round.
template <Touch kTouch, class Probe>
class RoundWorker {
 public:
  RoundWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        calls_(shared.latency, index),
        index_(index),
        random_((shared.common.seed) * (index + 1)) {}

  void run() {
    std::uint64_t temporary_budget = 100 * shared_.config.scale * (index_ % 8 + 1);
    std::uint64_t retained_budget = temporary_budget / 2;
    retained_ = static_cast<Word**>(calls_.allocate(retained_budget * sizeof(Word*)));
    if (retained_ == nullptr) {
      ++tally_.failed;
      retained_budget = 0;
    }
    while (temporary_budget > 0 || retained_budget > 0) {
      if (retained_budget == 0 || (random_.chance(kTemporaryPct) && temporary_budget > 0)) {
        --temporary_budget;
        add_temporary(allocate(kTemporaryExponents));
      } else {
        --retained_budget;
        retained_[retained_count_++] = allocate(kRetainedExponents);
      }
      if (random_.chance(kFreePct) && temporary_count_ > 0) {
        release(temporary_[random_.below(static_cast<std::uint32_t>(temporary_count_))]);
      }
      if (random_.chance(kExchangePct) && temporary_count_ > 0) exchange();
    }
    for (std::size_t i = 0; i < retained_count_; ++i) release(retained_[i]);
    for (std::size_t i = 0; i < temporary_count_; ++i) release(temporary_[i]);
    calls_.release(retained_);
    calls_.release(temporary_);
    shared_.tallies[index_].ops += tally_.ops;
    shared_.tallies[index_].failed += tally_.failed;
  }

 private:
  Word* allocate(unsigned exponents) {
    std::size_t words = std::size_t{1} << random_.below(exponents);
    if (random_.chance(kEnlargePct)) {
      if (random_.chance(kEnlargePct)) {
        words *= 10'000;
      } else if (random_.chance(11)) {
        words *= 1000;
      } else {
        words *= 100;
      }
    }
    auto* block = static_cast<Word*>(calls_.allocate(words * sizeof(Word)));
    if (block == nullptr) {
      ++tally_.failed;
      return nullptr;
    }
    ++tally_.ops;
    fill_block<kTouch>(block, words);
    return block;
  }

  // Verifies and frees what the entry holds, if anything, and empties it.
  void release(Word*& entry) {
    if (entry == nullptr) return;
    verify_block<kTouch>(entry);
    calls_.release(entry);
    entry = nullptr;
    ++tally_.ops;
  }

  void add_temporary(Word* block) {
    if (temporary_count_ == temporary_capacity_) {
      void* grown = calls_.resize(temporary_, (temporary_capacity_ + kListStep) * sizeof(Word*));
      if (grown == nullptr) {
        ++tally_.failed;
        release(block);
        return;
      }
      temporary_ = static_cast<Word**>(grown);
      temporary_capacity_ += kListStep;
    }
    temporary_[temporary_count_++] = block;
  }

  void exchange() {
    Word*& entry = temporary_[random_.below(static_cast<std::uint32_t>(temporary_count_))];
    std::atomic<Word*>& slot = shared_.transfer[random_.below(kTransferSlots)];
    // Release hands over the contents written here; acquire takes those of the other thread. The
    // partner is the same line in another thread.
    entry = slot.exchange(entry, std::memory_order_acq_rel);
  }

  Shared& shared_;
  Calls<MallocApi, Probe> calls_;
  std::uint64_t index_;
  SplitMix64 random_;
  Tally tally_{};
  Word** retained_ = nullptr;
  std::size_t retained_count_ = 0;
  Word** temporary_ = nullptr;
  std::size_t temporary_count_ = 0;
  std::size_t temporary_capacity_ = 0;
};

template <Touch kTouch, class Probe>
class Rounds {
 public:
  explicit Rounds(Shared& shared) : shared_(shared), starts_(shared.common.threads) {}

  // Returns the rounds done. The main thread is worker 0 of each.
  std::uint64_t run() {
    const Config& config = shared_.config;
    SplitMix64 random(thread_seed(shared_.common.seed, shared_.common.threads));
    StepBudget budget(config.rounds, shared_.common.seconds, 1);
    std::uint64_t rounds = 0;
    while (budget.next() != 0) {
      run_round();
      ++rounds;
      clear_transfer([&] { return random.chance(kBetweenRoundsPct); });
    }
    clear_transfer([] { return true; });
    return rounds;
  }

 private:
  struct Start {
    Shared* shared;
    std::uint64_t index;
    pthread_t thread;
  };

  static void* enter(void* argument) {
    const auto& start = *static_cast<Start*>(argument);
    RoundWorker<kTouch, Probe>(*start.shared, start.index).run();
    return nullptr;
  }

  void run_round() {
    for (std::uint64_t i = 1; i < starts_.size(); ++i) {
      starts_[i] = {&shared_, i, {}};
      starts_[i].thread = start_thread(enter, &starts_[i]);
    }
    RoundWorker<kTouch, Probe>(shared_, 0).run();
    for (std::uint64_t i = 1; i < starts_.size(); ++i) join_thread(starts_[i].thread);
  }

  template <class Choose>
  void clear_transfer(Choose choose) {
    for (std::atomic<Word*>& slot : shared_.transfer) {
      if (!choose()) continue;
      Word* block = slot.exchange(nullptr, std::memory_order_relaxed);  // the workers are joined
      if (block == nullptr) continue;
      verify_block<kTouch>(block);
      free(block);
      ++shared_.tallies[0].ops;
    }
  }

  Shared& shared_;
  MappedArray<Start> starts_;
};

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("mstress",
                      "Rounds of short-lived threads with temporary and retained blocks that "
                      "wander between threads; every word is checked.",
                      {.touch = Touch::kFull, .threads = 2, .seed = 43});
  arguments.positional_threads();
  arguments.positional("scale", config.scale, 1, 1'000'000, "hundreds of blocks per thread");
  arguments.positional("rounds", config.rounds, 1, kMaxCount, "rounds");
  arguments.option_seconds();
  arguments.parse(argc, argv);

  Shared shared(config, arguments.common);
  begin_work();
  const std::uint64_t start_ns = now_ns();
  const std::uint64_t rounds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return Rounds<kTouch, Probe>(shared).run();
  });
  const double seconds = seconds_since(start_ns);
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  Report report(arguments);
  report.timed(static_cast<double>(rounds) / static_cast<double>(config.rounds), total.ops, seconds,
               total.failed);
  report.extras().field("rounds_done", rounds);
  return report.print(shared.latency);
}
