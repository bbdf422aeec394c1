// Large blocks: everything above 256 KiB, and above 8 KiB what a full arena has no room for.
//
// They are runs of 64 KiB chunks in a reserved region of their own. A freed block stays resident
// for a while (the cache of large blocks: bounded in bytes, oldest first) and serves the next
// request that fits; what is left of it stays in the cache. What rests for a moment goes back with
// the next free or look at the clock, as far as a budget goes (return_budget.h). Where none fits,
// pages of several are stitched together (stitch.cpp). Growth happens in place into the free
// neighbour, else by moving page tables instead of bytes. When the region is full, or could not be
// reserved, blocks get mappings of their own.
//
// Any thread; own lock, independent of the shards' (never held together with one).
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena/collapse.h"
#include "arena/metadata.h"
#include "base/audit.h"
#include "base/futex_lock.h"
#include "geometry/constants.h"
#include "large/range.h"
#include "large/return_budget.h"
#include "settings/counters.h"

namespace hz3 {

class LargeHeap {
 public:
  // Reserves the region, smaller when refused. Never fails: without a region there are mappings.
  void boot(std::size_t wanted_bytes);

  // `size` > 0; alignment a power of two. The first `*stale_bytes` bytes may hold anything, the
  // rest of the block reads as zero. nullptr: no memory.
  void* allocate(std::size_t size, std::size_t alignment, std::size_t* stale_bytes);

  // True when the block was one of ours. Reports double and interior frees.
  bool release(void* block);

  // Bytes of the block and how many of them were asked for; zeros when it is none of ours.
  struct Extent {
    std::size_t bytes;
    std::size_t asked_bytes;
  };
  Extent extent(const void* block);
  // For the checked build: remembers how much of a used block was asked for.
  Extent set_asked_bytes(const void* block, std::size_t asked_bytes);
  std::size_t usable_size(const void* block) { return extent(block).bytes; }

  // Resizes in place, or by moving page tables. nullptr when only a copy can help: the block is
  // then unchanged.
  void* resize(void* block, std::size_t new_size);

  // Now and then, from slow events: gives back what rests.
  void tend();

  // `passed` generations ended, see arena/collapse.h: purge_older().
  void end_generation(std::uint64_t deadline_ns, std::size_t budget_bytes, std::uint64_t passed);

  // Gives back what has lain free since before `deadline_ns`, at most `budget_bytes`, and whatever
  // lies above large_cache_hard. Returns the bytes.
  std::size_t purge_older(std::uint64_t deadline_ns, std::size_t budget_bytes);
  std::size_t purge_all() { return purge_older(~std::uint64_t{0}, SIZE_MAX); }

  struct Figures {
    std::size_t used_bytes;
    std::size_t dirty_bytes;
    std::size_t peak_bytes;
  };
  Figures figures();
  Figures figures_locked() const { return {used_bytes_, dirty_bytes_, peak_bytes_}; }
  const void* table() const { return starts_; }
  std::size_t table_bytes() const { return table_bytes_; }

  // Calls `visit` with every range of the region and every block that has a mapping of its own.
  // Needs the lock, without which some may be missed or met twice.
  using VisitRange = void (*)(void* context, RangeState state, const void* address,
                              std::size_t bytes);
  void visit_ranges(VisitRange visit, void* context) const;
  void visit_mappings(VisitMapping visit, void* context) const;
  // The parts of the tables that may have been touched.
  void visit_tables(VisitMapping visit, void* context) const;
  // The whole region; `*bytes` is 0 when there is none.
  const void* region(std::size_t* bytes) const {
    *bytes = bytes_;
    return reinterpret_cast<const void*>(base_);
  }

  void add_counters(std::uint64_t* totals, std::size_t count) const {
    counters_.add_to(totals, count);
  }

  // Every range and mapping against the books.
  void audit(Audit* audit);

  FutexLock& lock() { return lock_; }  // for fork

 private:
  // A block with a mapping of its own.
  struct Mapping {
    Mapping* next;
    void* address;
    std::size_t bytes;
    std::size_t asked_bytes;
  };
  static constexpr unsigned kMappingLists = 256;

  bool in_region(const void* block) const {
    return reinterpret_cast<std::uintptr_t>(block) - base_ < bytes_;
  }
  void* address_of(std::size_t chunk) const {
    return reinterpret_cast<void*>(base_ + (chunk << kChunkShift));
  }
  std::size_t chunk_of(const void* block) const {
    return (reinterpret_cast<std::uintptr_t>(block) - base_) >> kChunkShift;
  }
  std::size_t region_chunks() const { return bytes_ >> kChunkShift; }

  Range* new_descriptor();
  void drop_descriptor(Range* range);
  void insert_free(Range* range);
  void remove_free(Range* range);
  void forget(Range* range);
  Range* merge(Range* range);
  bool split(Range* range, std::size_t chunks);
  Range* extend(std::size_t chunks, std::size_t alignment_chunks);
  Range* take(std::size_t chunks, std::size_t alignment_chunks, bool prefer_clean);
  void note_rise();
  Range* used_range(const void* block);
  void free_range(Range* range, RangeState state);
  bool grow_in_place(Range* range, std::size_t chunks, bool* clean);
  void* move(Range* range, std::size_t chunks);
  bool give_back(const Range* range, bool seams);
  void purge_range(Range* range);
  bool purge_oldest();
  void return_idle();
  static bool has_huge_pages(std::size_t chunks);
  void offer_huge_pages(std::size_t first_chunk, std::size_t chunks, bool allow);

  // stitch.cpp
  void add_seam(std::size_t chunk);
  void forget_seams(std::size_t chunk, std::size_t chunks);
  bool has_seams(const Range* range) const;
  std::size_t piece_length(std::size_t chunk, std::size_t most) const;
  bool move_piece(std::size_t from, std::size_t to, std::size_t chunks);
  bool move_chunks(std::size_t from, std::size_t to, std::size_t chunks, bool* copied);
  Range* cut_piece(Range* range, std::size_t most);
  std::size_t stitch(std::size_t chunk, std::size_t chunks);

  static unsigned list_of(const void* address);
  void* map_block(std::size_t size, std::size_t alignment);
  Mapping** find_mapping(const void* block);
  std::size_t* find_extent(const void* block, Extent* extent);
  bool report_inside_mapping(const void* pointer);
  void* resize_mapping(void* block, std::size_t new_size);

  FutexLock lock_;
  std::size_t machine_bytes_ = 0;
  std::uintptr_t base_ = 0;
  std::size_t bytes_ = 0;
  std::size_t frontier_ = 0;  // chunks below were used at least once
  Range** starts_ = nullptr;  // per chunk: the range that starts there
  bool* huge_ = nullptr;      // per 2 MiB: huge pages are allowed
  bool* seams_ = nullptr;     // per chunk: a mapping of the kernel may begin there
  std::size_t seam_count_ = 0;
  std::size_t table_bytes_ = 0;
  Range* last_ = nullptr;  // the range below the frontier
  Range* descriptors_ = nullptr;
  RangeIndex dirty_;
  RangeIndex clean_;
  Range* newest_ = nullptr;
  Range* oldest_ = nullptr;
  std::size_t used_bytes_ = 0;
  std::size_t dirty_bytes_ = 0;
  std::size_t peak_bytes_ = 0;
  Collapse collapse_;
  ReturnBudget return_budget_;
  Mapping* mappings_[kMappingLists] = {};
  CounterBlock counters_;
};

extern LargeHeap large_heap;

}  // namespace hz3
