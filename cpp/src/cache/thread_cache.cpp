// Refill, flush and bounds of the thread cache. Everything here is the slow path of its own thread.
//
// Bounds. A bin starts with room for 7 blocks and doubles at each miss or overflow, up to
// bin_blocks and bin_bytes (at least 4 blocks), and beyond 127 blocks up to bin_long_bytes: many
// small blocks make a trip to the shared pools rare, and many larger ones would cost memory. Beyond
// bin_calm_bytes it takes many turns in a short time (empty, full, empty): what is freed in one go
// and taken in another does not gain by a larger bin. At a tick a bin that nobody used is halved
// and drops what is above; below the starting size it drops everything.
#include "cache/thread_cache.h"

#include <cstring>

#include "arena/arena.h"
#include "arena/metadata.h"
#include "base/bits.h"
#include "remote/remote_stash.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr unsigned kSmallestBound = 4;
// A bin that its thread only frees into needs no more than a batch to send off.
constexpr std::size_t kSendingBytes = 64 * 1024;
// Turns in one spell (10 ms, see policy/tick.cpp) that show that a larger bin would save time, or
// still does. As trips to the pools they take 0.1 % of the time.
constexpr unsigned kManyTurns = 50;
constexpr unsigned kSeveralTurns = 6;
// A calm bin may hold so many blocks of any size: a trip to the pools with fewer tends to bring
// others, whose pages nobody has touched.
constexpr unsigned kCalmBlocks = 16;

unsigned largest_bound(Code code) {
  const unsigned class_index = class_of_code(code);
  const std::size_t by_bytes = blocks_in(knob_size(Knob::kBinBytes), class_index);
  const std::size_t by_length =
      max_of<std::size_t>(blocks_in(knob_size(Knob::kBinLongBytes), class_index), kOrdinarySlots);
  const std::size_t blocks = min_of(knob_size(Knob::kBinBlocks), min_of(by_bytes, by_length));
  return max_of(static_cast<unsigned>(blocks), kSmallestBound);
}

// Every slow path: nothing is late in it, and it is marked for whoever finds the cache without its
// thread. Only signal fences: the mark and the work are seen in program order by the copy of the
// memory that fork makes.
class Rebuilding {
 public:
  explicit Rebuilding(ThreadCache& cache) : mark_(cache.rebuilding) {
    mark_.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    cache.catch_up();
  }
  ~Rebuilding() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    mark_.store(false, std::memory_order_relaxed);
  }
  Rebuilding(const Rebuilding&) = delete;
  Rebuilding& operator=(const Rebuilding&) = delete;

 private:
  std::atomic<bool>& mark_;
};

// So many bytes, or `least` blocks if that is more.
unsigned bound_within(Code code, std::size_t bytes, unsigned least) {
  const std::size_t blocks = max_of<std::size_t>(blocks_in(bytes, class_of_code(code)), least);
  return static_cast<unsigned>(min_of<std::size_t>(largest_bound(code), blocks));
}

unsigned calm_bound(Code code) {
  return bound_within(code, knob_size(Knob::kBinCalmBytes), kCalmBlocks);
}
unsigned sending_bound(Code code) { return bound_within(code, kSendingBytes, kSmallestBound); }

}  // namespace

constinit std::atomic<std::uint64_t> cache_share_bytes{std::uint64_t{1} << 20};

void ThreadCache::set_bound(Code code, unsigned capacity) {
  states[code].capacity = static_cast<std::uint16_t>(capacity);
  bins[code].end = bins[code].floor + capacity - 1;
}

void ThreadCache::grow_bound(Code code, unsigned largest) {
  BinState& state = states[code];
  const unsigned wanted = min_of(max_of(2u * state.capacity, kSmallestBound), largest);
  if (wanted <= state.capacity) return;
  if (wanted > state.room && !grow_array(code, wanted)) return;
  set_bound(code, wanted);
}

// What a bin that malloc finds empty again and again may grow to.
unsigned ThreadCache::wanted_bound(Code code) const {
  return states[code].turns == kManyTurns ? largest_bound(code) : calm_bound(code);
}

// With each slow event of a bin, which is empty or full then.
void ThreadCache::note_trip(Code code, bool is_empty) {
  BinState& state = states[code];
  state.busy = true;
  if (state.spell != spell) {
    state.spell = spell;
    state.turns = 0;
  }
  if (state.was_empty != is_empty && state.turns < kManyTurns) ++state.turns;
  if (state.turns >= kSeveralTurns) state.restless = true;
  state.was_empty = is_empty;
}

// As many as there are, see take_blocks().
unsigned ThreadCache::take(Code code, void** out, unsigned want) {
  const unsigned taken = take_blocks(user, code, out, want);
  live_change += std::int64_t{taken} * kClasses[class_of_code(code)].block_bytes;
  return taken;
}

void ThreadCache::give(Code code, void** blocks, unsigned count, Way way) {
  live_change -= std::int64_t{count} * kClasses[class_of_code(code)].block_bytes;
  if (way == Way::kRoute) {
    give_blocks(user, code, blocks, count);
  } else {
    return_blocks(user, class_of_code(code), blocks, count);
  }
}

void ThreadCache::drop_oldest(Code code, unsigned dropped, Way way) {
  Bin& bin = bins[code];
  if (way == Way::kRoute && user.gathered == nullptr) user.gathered = new_remote_stash();
  while (dropped != 0) {
    const unsigned batch = min_of(dropped, Magazine::kSlots);
    const unsigned left = bin.count() - batch;
    give(code, bin.floor, batch, way);
    std::memmove(bin.floor, bin.floor + batch, left * sizeof(void*));
    bin.set_top(bin.floor + left);
    dropped -= batch;
  }
}

// `which`: index into kSeparateRooms.
void** ThreadCache::new_array(unsigned which) {
  if (void** array = spare[which]; array != nullptr) {
    spare[which] = static_cast<void**>(array[0]);
    return array;
  }
  return static_cast<void**>(metadata_allocate((kSeparateRooms[which] + 1) * sizeof(void*)));
}

// Gives the bin an array with room for `wanted` blocks.
bool ThreadCache::grow_array(Code code, unsigned wanted) {
  Bin& bin = bins[code];
  BinState& state = states[code];
  if (state.room >= wanted) return true;
  unsigned which = 0;
  while (kSeparateRooms[which] < wanted) ++which;
  void** array = new_array(which);
  if (array == nullptr) return false;
  const unsigned have = bin.count();
  array[0] = nullptr;
  if (have != 0) std::memcpy(array + 1, bin.floor, have * sizeof(void*));
  for (unsigned i = 0; i < which; ++i) {
    if (state.room != kSeparateRooms[i]) continue;
    bin.floor[-1] = spare[i];
    spare[i] = bin.floor - 1;
  }
  bin.floor = array + 1;
  state.seen_top = nullptr;
  state.room = static_cast<std::uint16_t>(kSeparateRooms[which]);
  set_bound(code, state.capacity);
  bin.set_top(bin.floor + have);
  return true;
}

void* ThreadCache::refill(Code code) {
  const Rebuilding mark(*this);
  Bin& bin = bins[code];
  BinState& state = states[code];
  counters.add(Counter::kBinMiss);
  note_trip(code, true);
  // A first miss may be a start or a change of the mix; a second one shows demand.
  if (state.missed) grow_bound(code, wanted_bound(code));
  state.missed = true;
  const unsigned want = min_of((state.capacity + 1u) / 2, Magazine::kSlots);
  // The best is the late one, which was free for the shortest time. Others come nevertheless:
  // without them each malloc that follows a free would end here.
  void* late = bin.newest != nullptr ? bin.pop() : nullptr;
  if (state.room < Magazine::kSlots) return refill_compact(code, want, late);
  bin.set_top(bin.floor + take(code, bin.floor, want));
  return late != nullptr || bin.newest == nullptr ? late : bin.pop();
}

// A batch may be larger than a compact array.
void* ThreadCache::refill_compact(Code code, unsigned want, void* late) {
  Bin& bin = bins[code];
  BinState& state = states[code];
  void* blocks[Magazine::kSlots];
  unsigned taken = take(code, blocks, want);
  if (taken == 0) return late;
  void* best = late != nullptr ? late : blocks[--taken];
  if (taken > state.room && !grow_array(code, taken)) {
    give(code, blocks, taken - state.room, Way::kSpans);
    std::memmove(blocks, blocks + taken - state.room, state.room * sizeof(void*));
    taken = state.room;
  }
  std::memcpy(bin.floor, blocks, taken * sizeof(void*));
  bin.set_top(bin.floor + taken);
  return best;
}

void ThreadCache::flush(Code code) {
  const Rebuilding mark(*this);
  Bin& bin = bins[code];
  BinState& state = states[code];
  counters.add(Counter::kBinOverflow);
  note_trip(code, false);
  const unsigned before = state.capacity;
  grow_bound(code, state.missed ? wanted_bound(code) : sending_bound(code));
  if (!bin.is_full() && state.capacity > before) return;
  const unsigned have = bin.count();
  const unsigned half = max_of((have + 1) / 2, have - min_of<unsigned>(have, state.capacity / 2u));
  // Whole batches: what is left over beyond them would travel in one of its own.
  drop_oldest(code, half > Magazine::kSlots ? half - half % Magazine::kSlots : half, Way::kRoute);
}

// Whether the bin has been unused for `ticks` ticks; the count then starts again.
bool ThreadCache::is_idle(Code code, unsigned ticks) {
  BinState& state = states[code];
  // Equal tops may be chance once; twice in a row they rarely are.
  const bool unused = !state.busy && bins[code].top == state.seen_top;
  const unsigned before = state.idle_ticks >= ticks ? 0 : state.idle_ticks;
  state.idle_ticks = unused ? static_cast<std::uint8_t>(before + 1) : std::uint8_t{0};
  return state.idle_ticks == ticks;
}

// Lowers the bound and keeps no more than so many blocks.
void ThreadCache::shrink(Code code, unsigned bound, unsigned keep) {
  set_bound(code, bound);
  const unsigned have = bins[code].count();
  if (have <= keep) return;
  counters.add(Counter::kTrimmedBlocks, have - keep);
  drop_oldest(code, have - keep, Way::kSpans);
}

// Lowers the bound of an idle bin and lets go of what lies above it; a compact one gives up all.
void ThreadCache::decay(Code code, unsigned percent) {
  const BinState& state = states[code];
  if (state.capacity == kSmallestBound && bins[code].count() == 0) return;
  unsigned bound = kSmallestBound;
  unsigned keep = 0;
  if (state.capacity > kCompactSlots) {
    bound = max_of(state.capacity * (100u - percent) / 100u, kSmallestBound);
    keep = bound;
  }
  counters.add(Counter::kDecayedBins);
  shrink(code, bound, keep);
}

void ThreadCache::calm() {
  const Rebuilding mark(*this);
  for (unsigned index = 1; index < kCodeCount; ++index) {
    const auto code = static_cast<Code>(index);
    BinState& state = states[code];
    if (state.room == 0) continue;
    const unsigned bound = max_of(state.capacity / 2u, calm_bound(code));
    if (!state.restless && bound < state.capacity) {
      counters.add(Counter::kCalmedBins);
      shrink(code, bound, bound);
    }
    state.restless = false;
  }
}

void ThreadCache::tick() {
  const Rebuilding mark(*this);
  const auto idle_ticks = static_cast<unsigned>(knob(Knob::kDecayIdleTicks));
  const auto percent = static_cast<unsigned>(knob(Knob::kDecayPercent));
  std::uint64_t cached = 0;
  for (unsigned index = 1; index < kCodeCount; ++index) {
    const auto code = static_cast<Code>(index);
    Bin& bin = bins[code];
    BinState& state = states[code];
    if (state.room == 0) continue;
    const bool idle = is_idle(code, idle_ticks);
    state.busy = false;
    state.missed = false;
    if (idle && percent != 0) {
      decay(code, percent);
    } else if (state.capacity > largest_bound(code)) {
      set_bound(code, largest_bound(code));
    }
    state.seen_top = bin.top;
    cached += std::uint64_t{bin.count()} * kClasses[class_of_code(code)].block_bytes;
  }
  return_gathered(user, Gathered::kIdle);
  if (user.gathered != nullptr) cached += user.gathered->parked_bytes();
  cached_bytes.store(cached, std::memory_order_relaxed);
  const std::uint64_t allowed = min_of<std::uint64_t>(
      knob_size(Knob::kThreadCacheBytes), cache_share_bytes.load(std::memory_order_relaxed));
  if (cached <= allowed) return;
  // Every bin gives the same share, so the mix that the program uses keeps its proportions.
  for (unsigned index = 1; index < kCodeCount; ++index) {
    const auto code = static_cast<Code>(index);
    const unsigned have = states[code].room == 0 ? 0 : bins[code].count();
    const auto keep = static_cast<unsigned>(have * allowed / cached);
    if (have != keep) drop_oldest(code, have - keep, Way::kSpans);
  }
}

bool ThreadCache::settle() {
  if (rebuilding.load(std::memory_order_relaxed)) return false;
  for (unsigned index = 1; index < kCodeCount; ++index) {
    if (states[index].room != 0) bins[index].set_top(bins[index].top);
  }
  // The late block may have reached its bin already, and late_bin may be that of another.
  if (late_block != nullptr) {
    Bin& bin = bin_at(arena.tag_at(late_block));
    if (bin.newest != late_block) bin.push(late_block);
  }
  forget_late();
  return true;
}

void ThreadCache::flush_all() {
  const Rebuilding mark(*this);
  for (unsigned index = 1; index < kCodeCount; ++index) {
    const auto code = static_cast<Code>(index);
    if (states[code].room == 0) continue;
    Bin& bin = bins[code];
    unsigned left = bin.count();
    bin.set_top(bin.floor);
    while (left != 0) {
      const unsigned batch = min_of(left, Magazine::kSlots);
      left -= batch;
      give(code, bin.floor + left, batch, Way::kSpans);
    }
  }
  return_gathered(user, Gathered::kAll);
  cached_bytes.store(0, std::memory_order_relaxed);
}

}  // namespace hz3
