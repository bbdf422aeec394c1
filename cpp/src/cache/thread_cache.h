// The thread cache: one bin per code, each an array of pointers to free blocks.
//
// Only its own thread touches a cache; others read the counters. No lock, no atomic, no counter, no
// initialisation test on a hit: a thread without a cache points to one of zeros, whose bins are all
// at once empty and full, so that it takes the ordinary miss path.
//
// The bin keeps the newest block beside the array as well, so that malloc has its answer after one
// load from the bin and moves the array's top off the critical path.
//
// The block freed last is late: it reaches its bin with the next free. Where the stores of that go
// is known only after a load of the tag, and the program's next loads may have to wait until the
// address of every earlier store is known. One free later it is known at once.
//
// Nothing is written into a free block. A slot of value nullptr below the bottom of each array
// marks the end for malloc; `end` marks it for free.
//
// A thread may vanish at any instruction (fork: the child has only the forking thread). The order
// of the stores on the hit path makes sure that its cache can be settled afterwards with the loss
// of at most one block; a cache that was being rebuilt is given up.
#pragma once

#include <atomic>
#include <cstdint>
#include <iterator>

#include "base/audit.h"
#include "base/compiler.h"
#include "base/futex_lock.h"
#include "geometry/size_classes.h"
#include "remote/route.h"
#include "settings/counters.h"

namespace hz3 {

struct Bin {
  void* newest;  // top[-1]
  void** top;    // one past the newest block
  void** end;    // where free stops; may lie below top
  void** floor;  // first slot; floor[-1] is nullptr

  unsigned count() const { return static_cast<unsigned>(top - floor); }
  bool is_full() const { return top >= end; }

  // Not empty, that is newest != nullptr.
  HZ3_ALWAYS_INLINE void* pop() {
    void* block = newest;
    void** below = top - 1;
    top = below;
    std::atomic_signal_fence(std::memory_order_release);  // top before newest [vanish]
    newest = below[-1];
    return block;
  }

  HZ3_ALWAYS_INLINE void push(void* block) {
    void** slot = top;
    *slot = block;
    newest = block;
    std::atomic_signal_fence(std::memory_order_release);  // the slot before top [vanish]
    top = slot + 1;
  }

  void set_top(void** new_top) {
    top = new_top;
    newest = new_top[-1];
  }
};

static_assert(sizeof(Bin) == std::size_t{1} << kTagShift);

// What the hit path touches, and all that the empty cache consists of.
struct HitPath {
  Bin bins[kCodeCount];  // that of kNoCode is full for everybody and takes what is no late block
  Tag size_tags[(kMaxTableBytes >> kMinBlockShift) + 1];  // by (size + 7) / 8

  // The block freed last and the bin that it has still to reach; &bins[kNoCode] when there is none.
  Bin* late_bin;
  void* late_block;

  HZ3_ALWAYS_INLINE Bin& bin_at(Tag tag) {
    return *reinterpret_cast<Bin*>(reinterpret_cast<char*>(bins) + tag);
  }

  // The bin is not full, so this is no empty cache. It has room for one block more than that says:
  // the late one may be on its way to the same bin.
  HZ3_ALWAYS_INLINE void push(Bin& bin, void* block) {
    late_bin->push(late_block);
    std::atomic_signal_fence(std::memory_order_release);  // in its bin before it is forgotten
    late_block = block;  // until the next store late_bin is not that of this block [vanish]
    std::atomic_signal_fence(std::memory_order_release);
    late_bin = &bin;
  }
};

// Rooms of a bin's array: part of the cache itself, then sizes of their own.
inline constexpr unsigned kCompactSlots = 7;
inline constexpr unsigned kSeparateRooms[] = {15, 31, 63, 127, 255, 511};
inline constexpr unsigned kMostSlots = kSeparateRooms[std::size(kSeparateRooms) - 1];
// Bins with more blocks than this are long: see largest_bound().
inline constexpr unsigned kOrdinarySlots = 127;

// Called with the slow events of a bin; see bounds in thread_cache.cpp.
struct BinState {
  void** seen_top;          // top at the last tick: unchanged means idle
  std::uint16_t capacity;   // present bound, the late block counted: floor + capacity - 1 == end
  std::uint16_t room;       // slots of the array
  std::uint8_t idle_ticks;  // ticks in a row that found it unused
  std::uint8_t spell;       // of the thread, in which `turns` were counted
  std::uint8_t turns;       // from full to empty or back in that spell, kManyTurns at most
  bool busy : 1;            // had a slow event since the last tick
  bool missed : 1;          // malloc found it empty since the last tick
  bool was_empty : 1;       // at its last slow event
  bool restless : 1;        // had a spell of several turns since the last tick by the clock
};
static_assert(sizeof(BinState) == 16);

struct ThreadCache : HitPath {
  BinState states[kCodeCount];
  RouteUser user;
  std::uint32_t events = 0;           // slow events since the last tick
  std::uint32_t clock_countdown = 0;  // slow events until the clock is read
  std::uint32_t summons_seen = 0;     // see policy/reclaim.h
  std::int64_t live_change = 0;       // bytes taken less given since policy last asked
  std::uint8_t spell = 0;             // number of the short time in which turns are counted
  std::uint64_t spell_began_ns = 0;   // by the clock
  std::uint64_t ticked_ns = 0;        // time of the last tick by the clock
  ThreadCache* next = nullptr;        // in the registry, or among the unused
  ThreadCache* previous = nullptr;
  std::atomic<bool> rebuilding{false};         // bins and arrays may contradict each other
  std::atomic<std::uint64_t> cached_bytes{0};  // as of the last tick
  CounterBlock counters;
  void* nowhere = nullptr;  // the one slot of the bin of kNoCode
  // Arrays that a bin has outgrown, by room, linked through their first slot.
  void** spare[std::size(kSeparateRooms)] = {};
  void* compact[1 + kClassCount + kTinyClasses][kCompactSlots + 1];

  // Brings the late block to its bin. Whoever moves blocks of bins does this first.
  void catch_up() {
    late_bin->push(late_block);
    forget_late();
  }

  // Takes blocks for a bin that is empty but for the late block; the best one is returned and not
  // in the bin any more. nullptr when there is no memory.
  void* refill(Code code);

  // Makes room in a full bin.
  void flush(Code code);

  enum class Way { kRoute, kSpans };  // of dropped blocks: to whoever needs them, or home

  // Adapts the bounds to what happened since the last tick and lets idle blocks go.
  void tick();

  // With each tick by the clock: halves the bounds of bins that may hold much and have not turned
  // several times in a spell since the last one.
  void calm();

  // Gives every block back.
  void flush_all();

  // Every bin against its array, every block in it against its span.
  void audit(Audit* audit);

  // For the child of fork, where the cache's thread does not exist. False: it was being rebuilt,
  // its contents cannot be trusted.
  bool settle();

 private:
  friend ThreadCache* acquire_thread_cache();
  void boot(unsigned shard);
  void forget_late() {
    std::atomic_signal_fence(std::memory_order_release);  // in its bin before it is forgotten
    late_block = nullptr;
    late_bin = &bins[kNoCode];
    bins[kNoCode].top = &nowhere;
  }
  unsigned take(Code code, void** out, unsigned want);
  void give(Code code, void** blocks, unsigned count, Way way);
  void* refill_compact(Code code, unsigned want, void* late);
  bool grow_array(Code code, unsigned room);
  void** new_array(unsigned which);
  void grow_bound(Code code, unsigned largest);
  void set_bound(Code code, unsigned capacity);
  void drop_oldest(Code code, unsigned count, Way way);
  unsigned wanted_bound(Code code) const;
  void note_trip(Code code, bool is_empty);
  void shrink(Code code, unsigned bound, unsigned keep);
  bool is_idle(Code code, unsigned ticks);
  void decay(Code code, unsigned percent);
};

// Most bytes that one cache may keep over a tick, besides the knob; set by policy.
extern std::atomic<std::uint64_t> cache_share_bytes;

extern constinit HitPath empty_cache;  // never written

// The calling thread's cache; &empty_cache when it has none.
extern constinit HZ3_TLS HitPath* current_cache;

// A cache out of the pool or a new one, put into the registry; nullptr when there is no memory.
ThreadCache* acquire_thread_cache();
// Puts it back into the pool, with nothing in its bins.
void release_thread_cache(ThreadCache* cache);

struct CacheFigures {
  std::uint64_t threads;
  std::uint64_t cached_bytes;
};
CacheFigures thread_cache_figures();

// For whoever holds the lock, or has to do without it.
CacheFigures thread_cache_figures_locked();
void add_thread_counters_locked(std::uint64_t* totals, std::size_t count);

// Calls the first with every block in a bin of any thread, the second with every one that a thread
// has gathered for other shards. Their threads go on meanwhile: a block may
// be missed, met twice, or have left its bin.
void visit_cached_blocks(VisitBlock cached, VisitBlock gathered, void* context);

FutexLock& thread_cache_lock();  // for fork
// In the child, with the lock held: caches of threads that do not exist there any more go back to
// the pool with their blocks, for the next threads.
void adopt_caches_in_child();

}  // namespace hz3
