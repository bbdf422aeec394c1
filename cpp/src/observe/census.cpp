// The walk. Page by page rather than along lists, so that it ends even where a lock was missed.
//
// A span's resident bytes are its free blocks, its tail, and what is out; of what is out, each
// class subtracts the blocks that were found in bins and magazines. The rest is live.
#include "observe/census.h"

#include "arena/page_heap.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "cache/thread_cache.h"
#include "large/large_heap.h"
#include "remote/owner_stash.h"
#include "remote/transfer_cache.h"
#include "span/pending.h"
#include "span/shard.h"

namespace hz3 {
namespace {

using Place = std::uint64_t hz3_class_observation::*;

constexpr Place kParkingPlaces[] = {
    &hz3_class_observation::thread_cache_bytes, &hz3_class_observation::stash_bytes,
    &hz3_class_observation::spill_bytes,        &hz3_class_observation::transfer_bytes,
    &hz3_class_observation::remote_stash_bytes, &hz3_class_observation::page_queue_bytes,
};

class Census {
 public:
  Census(const ResidencyMap& map, Observation* result) : map_(map), result_(*result) {}

  void count_segments();
  void count_parked();
  void count_large();
  void finish();

 private:
  struct Search {
    Census* census;
    Place place;
    Place second_place;
  };

  static void found_parked(void* context, const void* block) {
    const auto& search = *static_cast<const Search*>(context);
    search.census->add_parked(block, search.place);
  }
  static void found_second(void* context, const void* block) {
    const auto& search = *static_cast<const Search*>(context);
    search.census->add_parked(block, search.second_place);
  }
  static void found_range(void* context, RangeState state, const void* address, std::size_t bytes);
  static void found_mapping(void* context, const void* address, std::size_t bytes);

  void count_span(const Span& span);
  void count_pending(const Span& span);
  void count_free_page(std::size_t page);
  void add_parked(const void* block, Place place);

  const ResidencyMap& map_;
  Observation& result_;
};

// Blocks out of central go to live_*; finish() takes out what is parked.
HZ3_RACY void Census::count_span(const Span& span) {
  const SizeClass& shape = span.size_class();
  const std::size_t span_bytes = std::size_t{shape.pages} << kPageShift;
  const std::size_t blocks_bytes = std::size_t{shape.blocks} * shape.block_bytes;
  const std::size_t resident = map_.resident_bytes(span.start, span_bytes);
  const std::size_t tail =
      map_.resident_bytes(span.start + blocks_bytes, span_bytes - blocks_bytes);
  unsigned free_blocks = 0;
  std::size_t free_bytes = 0;
  for (unsigned index = 0; index < shape.blocks; ++index) {
    if (!span.is_free(index)) continue;
    ++free_blocks;
    if (resident == 0 || resident == span_bytes) continue;
    free_bytes +=
        map_.resident_bytes(span.start + std::size_t{index} * shape.block_bytes, shape.block_bytes);
  }
  if (resident == span_bytes) free_bytes = std::size_t{free_blocks} * shape.block_bytes;
  hz3_class_observation& one = result_.classes[span.class_index];
  one.free_blocks += free_blocks;
  one.live_blocks += shape.blocks - free_blocks;
  one.central_bytes += free_bytes;
  one.tail_waste_bytes += tail;
  one.live_bytes += resident - tail - free_bytes;
  hz3_observation& whole = result_.whole;
  if (free_blocks == 0) {
    ++one.full_spans;
    whole.full_span_bytes += resident;
  } else if (free_blocks == shape.blocks) {
    ++one.empty_spans;
    whole.empty_span_bytes += resident;
  } else {
    ++one.partial_spans;
    whole.partial_span_bytes += resident;
  }
}

// Marks that are just being made or merged may be missed.
void Census::count_pending(const Span& span) {
  const Pending* pending = span.pending.load(std::memory_order_acquire);  // [page-queue]
  if (pending == nullptr) return;
  for (unsigned word = 0; word < Span::kMostWords; ++word) {
    std::uint64_t bits = pending->bits[word].load(std::memory_order_relaxed);
    for (; bits != 0; bits &= bits - 1) {
      const unsigned index = word * 64 + lowest_bit(bits);
      if (index < span.size_class().blocks) {
        add_parked(span.address_of(index), &hz3_class_observation::page_queue_bytes);
      }
    }
  }
}

void Census::count_free_page(std::size_t page) {
  result_.whole.free_pages_bytes += map_.resident_bytes(
      reinterpret_cast<std::uintptr_t>(arena.address_of_page(page)), kPageBytes);
}

HZ3_RACY void Census::count_segments() {
  const PageHeap::Figures figures = page_heap.figures_locked();
  hz3_observation& whole = result_.whole;
  whole.segments = figures.open_segments;
  whole.used_pages = figures.used_pages;
  whole.dirty_pages = figures.dirty_pages;
  for (std::size_t index = 0; index < figures.open_segments; ++index) {
    const unsigned free_pages = arena.segments[index].free_pages;
    whole.free_pages += free_pages;
    ++result_.segments_by_free_pages[min_of(free_pages / kPagesPerBucket, kFreePageBuckets - 1)];
    const std::size_t end = (index + 1) * kPagesPerSegment;
    for (std::size_t page = index * kPagesPerSegment; page < end;) {
      const Span* span = arena.spans[page];
      if (span == nullptr || span->first_page != page || span->class_index >= kClassCount) {
        count_free_page(page++);
      } else {
        count_span(*span);
        count_pending(*span);
        page += span->size_class().pages;
      }
    }
  }
}

// A block that was seen while it moved may be anything by now: only what a span confirms counts.
HZ3_RACY void Census::add_parked(const void* block, Place place) {
  if (!arena.contains(block)) return;
  const std::size_t page = arena.page_of(block);
  if (page >= result_.whole.segments * kPagesPerSegment) return;
  const Span* span = arena.spans[page];
  if (span == nullptr || span->class_index >= kClassCount) return;
  const unsigned index = span->index_of(block);
  if (index == Span::kNoBlock || span->is_free(index)) return;
  hz3_class_observation& one = result_.classes[span->class_index];
  ++one.parked_blocks;
  one.*place +=
      map_.resident_bytes(reinterpret_cast<std::uintptr_t>(block), span->size_class().block_bytes);
}

void Census::count_parked() {
  Search caches = {this, &hz3_class_observation::thread_cache_bytes,
                   &hz3_class_observation::remote_stash_bytes};
  visit_cached_blocks(found_parked, found_second, &caches);
  Search stashes = {this, &hz3_class_observation::stash_bytes, &hz3_class_observation::spill_bytes};
  for (unsigned shard = 0; shard < shard_count; ++shard) {
    for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
      owner_stash.visit(shard, class_index, found_parked, found_second, &stashes);
    }
  }
  Search transfer = {this, &hz3_class_observation::transfer_bytes, nullptr};
  for (unsigned lane = 0; lane < TransferCache::used_lanes(); ++lane) {
    transfer_cache.visit(lane, found_parked, &transfer);
  }
}

void Census::found_range(void* context, RangeState state, const void* address, std::size_t bytes) {
  hz3_observation& whole = static_cast<Census*>(context)->result_.whole;
  (state == RangeState::kUsed ? whole.large_live_bytes : whole.large_cache_bytes) +=
      resident_bytes(address, bytes);
}

void Census::found_mapping(void* context, const void* address, std::size_t bytes) {
  static_cast<Census*>(context)->result_.whole.large_live_bytes += resident_bytes(address, bytes);
}

void Census::count_large() {
  large_heap.visit_ranges(found_range, this);
  large_heap.visit_mappings(found_mapping, this);
}

void Census::finish() {
  hz3_observation& whole = result_.whole;
  for (unsigned index = 0; index < kClassCount; ++index) {
    const SizeClass& shape = kClasses[index];
    hz3_class_observation& one = result_.classes[index];
    one.block_bytes = shape.block_bytes;
    one.span_bytes = std::uint64_t{shape.pages} << kPageShift;
    // A block met twice must not make more parked than there are.
    for (const Place place : kParkingPlaces) {
      one.*place = min_of(one.*place, one.live_bytes);
      one.live_bytes -= one.*place;
    }
    one.parked_blocks = min_of(one.parked_blocks, one.live_blocks);
    one.live_blocks -= one.parked_blocks;
    whole.live_bytes += one.live_bytes;
    whole.thread_cache_bytes += one.thread_cache_bytes;
    whole.stash_bytes += one.stash_bytes;
    whole.spill_bytes += one.spill_bytes;
    whole.transfer_bytes += one.transfer_bytes;
    whole.remote_stash_bytes += one.remote_stash_bytes;
    whole.page_queue_bytes += one.page_queue_bytes;
    whole.central_bytes += one.central_bytes;
    whole.tail_waste_bytes += one.tail_waste_bytes;
    whole.partial_spans += one.partial_spans;
    whole.empty_spans += one.empty_spans;
    whole.full_spans += one.full_spans;
  }
}

}  // namespace

std::uint64_t waste_bytes(const hz3_class_observation& one) {
  std::uint64_t waste = one.central_bytes + one.tail_waste_bytes;
  for (const Place place : kParkingPlaces) waste += one.*place;
  return waste;
}

void take_census(const ResidencyMap& map, Observation* result) {
  Census census(map, result);
  census.count_segments();
  census.count_parked();
  census.count_large();
  census.finish();
}

}  // namespace hz3
