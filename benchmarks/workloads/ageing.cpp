// ageing: the traffic of a server over many days, in seconds. Short, medium and long lives, a size
// mix that shifts, nights in which most long-lived blocks go. Does resident memory per live byte
// grow with age? Each worker owns its three tables; a few blocks are freed by another worker,
// through atomic exchange; worker 0 reads the sizes while the others wait at the barrier.
#include <algorithm>
#include <atomic>
#include <iterator>

#include "common/calls.h"
#include "common/phase.h"
#include "common/random.h"
#include "common/report.h"
#include "common/tally.h"
#include "common/team.h"

namespace {

using namespace workload;

struct Config {
  std::uint64_t epochs = 24;
  std::uint64_t steps = 400'000;
  std::uint64_t long_slots = 40'000;
};

constexpr std::uint64_t kMaxEpochs = 100'000;
constexpr std::uint64_t kMaxRows = 400;  // of the series in the result
constexpr std::uint64_t kShortSlots = 256;
constexpr std::uint64_t kMediumSlots = 8192;
constexpr std::uint32_t kShortPct = 85;   // share of the steps that go to each table;
constexpr std::uint32_t kMediumPct = 12;  // the rest goes to the long-lived one
constexpr std::uint32_t kForeignPct = 6;  // of the medium lives end in another thread
constexpr std::size_t kExchangeSlots = 512;
constexpr std::uint64_t kEpochsPerDay = 4;  // the last of them is the night
constexpr std::uint64_t kNightSharePct = 40;

struct Slot {
  void* block;
  std::uint64_t size;
};

// Eleven octaves from 16 bytes to 32 KiB. Small ones dominate; three favourites are asked for far
// more often, and every epoch one favourite gives way to another.
class SizeMix {
 public:
  explicit SizeMix(SplitMix64& random) {
    for (unsigned& favourite : favourites_) favourite = random.below(kOctaves);
    recompute();
  }

  void shift(std::uint64_t epoch, SplitMix64& random) {
    favourites_[epoch % kFavourites] = random.below(kOctaves);
    recompute();
  }

  std::uint64_t draw(SplitMix64& random) const {
    const std::uint64_t draw = random.next();
    const auto point = static_cast<std::uint32_t>(draw >> 32U) % total_;
    unsigned octave = 0;
    while (point >= bounds_[octave]) ++octave;
    const std::uint64_t base = std::uint64_t{kSmallest} << octave;
    return base + (static_cast<std::uint32_t>(draw) & (base - 1));
  }

 private:
  static constexpr unsigned kOctaves = 11;
  static constexpr unsigned kFavourites = 3;
  static constexpr unsigned kSmallest = 16;

  void recompute() {
    total_ = 0;
    for (unsigned octave = 0; octave < kOctaves; ++octave) {
      const auto favoured = std::count(std::begin(favourites_), std::end(favourites_), octave);
      const std::uint32_t weight = 1U << (kOctaves - octave);
      total_ += weight * (favoured > 0 ? 16U : 1U);
      bounds_[octave] = total_;
    }
  }

  unsigned favourites_[kFavourites] = {};
  std::uint32_t bounds_[kOctaves] = {};  // running sums of the weights
  std::uint32_t total_ = 0;
};

struct EpochSizes {
  std::uint64_t live_bytes;
  std::uint64_t resident_kb;
};

struct alignas(2 * kCacheLineBytes) LiveBytes {
  std::uint64_t bytes;
};

struct Shared {
  Shared(const Config& config_in, const CommonOptions& common_in)
      : config(config_in),
        common(common_in),
        epochs(common_in.seconds > 0 ? kMaxEpochs : config_in.epochs),
        live(common_in.threads),
        tallies(common_in.threads),
        barrier(common_in.threads),
        latency(common_in.threads, common_in.latency) {}

  const Config& config;
  const CommonOptions& common;
  MappedArray<EpochSizes> epochs;
  std::uint64_t epochs_done = 0;  // written by worker 0 between barriers
  bool ended = false;             // likewise
  MappedArray<LiveBytes> live;    // at the last barrier
  MappedArray<std::atomic<void*>> exchange{kExchangeSlots};
  MappedArray<Tally> tallies;
  Barrier barrier;
  LatencyTable latency;
};

bool is_night(std::uint64_t epoch) { return epoch % kEpochsPerDay == kEpochsPerDay - 1; }

template <Touch kTouch, class Probe>
class AgeingWorker {
 public:
  AgeingWorker(Shared& shared, std::uint64_t index)
      : shared_(shared),
        calls_(shared.latency, index),
        random_(thread_seed(shared.common.seed, index)),
        mix_(random_),
        short_(kShortSlots),
        medium_(kMediumSlots),
        long_(shared.config.long_slots),
        index_(index) {}

  void run() {
    StepBudget budget(shared_.config.epochs, shared_.common.seconds, 1);
    for (std::uint64_t epoch = 0;; ++epoch) {
      if (index_ == 0) shared_.ended = epoch == shared_.epochs.size() || budget.next() == 0;
      shared_.barrier.wait();
      if (shared_.ended) break;
      run_epoch(epoch);
      observe(epoch);
    }
    for (MappedArray<Slot>* table : {&short_, &medium_, &long_}) {
      for (Slot& slot : *table) release(slot);
    }
    shared_.tallies[index_] = tally_;
  }

 private:
  void run_epoch(std::uint64_t epoch) {
    mix_.shift(epoch, random_);
    const std::uint64_t all = long_.size();
    const std::uint64_t active =
        is_night(epoch) ? std::max<std::uint64_t>(all * kNightSharePct / 100, 1) : all;
    for (std::uint64_t i = active; i < all; ++i) release(long_[i]);
    for (std::uint64_t i = 0; i < active; ++i) {
      if (long_[i].block == nullptr) fill(long_[i]);
    }
    for (std::uint64_t step = 0; step < shared_.config.steps; ++step) {
      const std::uint32_t point = random_.below(100);
      if (point < kShortPct) {
        replace(short_[random_.below(kShortSlots)]);
      } else if (point < kShortPct + kMediumPct) {
        Slot& slot = medium_[random_.below(kMediumSlots)];
        if (random_.chance(kForeignPct)) hand_over(slot);
        replace(slot);
      } else {
        replace(long_[random_.below(static_cast<std::uint32_t>(active))]);
      }
    }
    tally_.ops += shared_.config.steps;
  }

  void replace(Slot& slot) {
    release(slot);
    fill(slot);
  }

  void fill(Slot& slot) {
    slot.size = mix_.draw(random_);
    slot.block = calls_.allocate(slot.size);
    if (slot.block == nullptr) {
      ++tally_.failed;
      return;
    }
    touch_block<kTouch>(slot.block, slot.size);
    live_bytes_ += slot.size;
  }

  void release(Slot& slot) {
    if (slot.block == nullptr) return;
    calls_.release(slot.block);
    slot.block = nullptr;
    live_bytes_ -= slot.size;
  }

  // Leaves the block for another thread and frees what some thread has left there.
  void hand_over(Slot& slot) {
    if (slot.block == nullptr) return;
    live_bytes_ -= slot.size;
    std::atomic<void*>& place = shared_.exchange[random_.below(kExchangeSlots)];
    // The contents go with the pointer; the partner is this line in another thread.
    void* left = place.exchange(slot.block, std::memory_order_acq_rel);
    slot.block = nullptr;
    if (left != nullptr) calls_.release(left);
  }

  void observe(std::uint64_t epoch) {
    shared_.live[index_].bytes = live_bytes_;
    shared_.barrier.wait();
    if (index_ != 0) return;
    std::uint64_t live_bytes = 0;
    for (const LiveBytes& live : shared_.live) live_bytes += live.bytes;
    shared_.epochs[epoch] = {live_bytes, resident_kb()};
    shared_.epochs_done = epoch + 1;
  }

  Shared& shared_;
  Calls<MallocApi, Probe> calls_;
  SplitMix64 random_;
  SizeMix mix_;
  MappedArray<Slot> short_;
  MappedArray<Slot> medium_;
  MappedArray<Slot> long_;
  std::uint64_t index_;
  std::uint64_t live_bytes_ = 0;
  Tally tally_{};
};

double resident_per_live(const EpochSizes& epoch) {
  return static_cast<double>(epoch.resident_kb) * 1024 /
         static_cast<double>(std::max<std::uint64_t>(epoch.live_bytes, 1));
}

void write_epochs(JsonWriter& json, const Shared& shared) {
  double first = 0;
  double last = 0;
  double worst_night = 0;
  for (std::uint64_t i = 0; i < shared.epochs_done; ++i) {
    const double ratio = resident_per_live(shared.epochs[i]);
    if (is_night(i)) {
      worst_night = std::max(worst_night, ratio);
    } else {
      if (i == 0) first = ratio;
      last = ratio;
    }
  }
  json.field("epochs_done", shared.epochs_done);
  json.field("rss_per_live_first", first);
  json.field("rss_per_live_last", last);
  json.field("rss_per_live_worst_night", worst_night);
  // A long run is thinned out to every so many epochs.
  const std::uint64_t stride = (shared.epochs_done + kMaxRows - 1) / kMaxRows;
  json.field("epochs_per_row", stride);
  json.open_array("live_kb");
  for (std::uint64_t i = 0; i < shared.epochs_done; i += stride) {
    json.element(shared.epochs[i].live_bytes / 1024);
  }
  json.close_array();
  json.open_array("rss_kb");
  for (std::uint64_t i = 0; i < shared.epochs_done; i += stride) {
    json.element(shared.epochs[i].resident_kb);
  }
  json.close_array();
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  Arguments arguments("ageing",
                      "Server traffic with mixed lifetimes and a shifting size mix; each replaced "
                      "block is an op.",
                      {.touch = Touch::kFull, .threads = 2, .seed = 1});
  arguments.positional_threads();
  arguments.positional("epochs", config.epochs, 1, kMaxEpochs, "epochs, four to a day");
  arguments.positional("steps", config.steps, 1, kMaxCount, "replacements per thread and epoch");
  arguments.positional("long-slots", config.long_slots, 1, 1U << 24U,
                       "long-lived blocks of each thread");
  arguments.option_seconds();
  arguments.parse(argc, argv);

  Shared shared(config, arguments.common);
  const double seconds = with_modes(arguments.common, [&]<Touch kTouch, class Probe>() {
    return run_team(arguments.common.threads, Spawn::kAlways, [&](std::uint64_t worker) {
      AgeingWorker<kTouch, Probe>(shared, worker).run();
    });
  });
  for (std::atomic<void*>& place : shared.exchange) {
    free(place.load(std::memory_order_relaxed));  // all threads are joined
  }
  end_work(arguments.common);

  const Tally total = sum(shared.tallies);
  Report report(arguments);
  report.rate(total.ops, seconds, total.failed);
  write_epochs(report.extras(), shared);
  return report.print(shared.latency);
}
