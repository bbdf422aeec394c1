// Collection of gauges and counters over all layers.
#include "observe/gauges.h"

#include "arena/metadata.h"
#include "arena/page_heap.h"
#include "base/bits.h"
#include "cache/thread_cache.h"
#include "large/large_heap.h"
#include "observe/all_locks.h"
#include "remote/page_queue.h"
#include "remote/transfer_cache.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// Needs the locks of the shards.
Central::ClassFigures figures_of_class(unsigned class_index) {
  Central::ClassFigures total = {0, 0};
  for (unsigned i = 0; i < shard_count; ++i) {
    const Central::ClassFigures one = shards[i].central.figures(class_index);
    total.spans += one.spans;
    total.blocks_out += one.blocks_out;
  }
  return total;
}

}  // namespace

void read_stats(hz3_stats* stats) {
  const AllLocks locks(AllLocks::Patience::kSecond);
  read_stats_locked(stats);
}

void read_stats_locked(hz3_stats* stats) {
  *stats = hz3_stats{};
  for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
    const Central::ClassFigures figures = figures_of_class(class_index);
    stats->spans += figures.spans;
    stats->live_bytes += figures.blocks_out * kClasses[class_index].block_bytes;
    stats->cached_bytes +=
        page_queue.parked_blocks(class_index) * kClasses[class_index].block_bytes;
  }
  const PageHeap::Figures pages = page_heap.figures_locked();
  const LargeHeap::Figures large = large_heap.figures_locked();
  const CacheFigures caches = thread_cache_figures_locked();
  stats->live_bytes += large.used_bytes;
  stats->cached_bytes += caches.cached_bytes + transfer_cache.parked_bytes();
  stats->mapped_bytes =
      (std::uint64_t{pages.open_segments} << kSegmentShift) + large.used_bytes + large.dirty_bytes;
  stats->dirty_free_bytes = std::uint64_t{pages.dirty_pages} << kPageShift;
  stats->committed_bytes = (std::uint64_t{pages.used_pages} << kPageShift) +
                           stats->dirty_free_bytes + large.used_bytes + large.dirty_bytes;
  stats->peak_committed_bytes = (std::uint64_t{pages.peak_pages} << kPageShift) + large.peak_bytes;
  stats->large_bytes = large.used_bytes;
  stats->large_cached_bytes = large.dirty_bytes;
  stats->metadata_bytes = metadata_bytes_locked() + magazine_bytes_locked();
  stats->threads = caches.threads;
  stats->shards = shard_count;
  stats->segments = pages.open_segments;
}

bool read_class_stats(std::size_t index, hz3_class_stats* stats) {
  if (index >= kClassCount) return false;
  const SizeClass& shape = kClasses[index];
  const AllLocks locks(AllLocks::Patience::kSecond);
  const Central::ClassFigures figures = figures_of_class(static_cast<unsigned>(index));
  stats->block_bytes = shape.block_bytes;
  stats->span_bytes = std::uint64_t{shape.pages} << kPageShift;
  stats->spans = figures.spans;
  stats->blocks_out = figures.blocks_out;
  stats->blocks_free = figures.spans * shape.blocks - figures.blocks_out;
  return true;
}

void read_counters(std::uint64_t* totals, std::size_t count) {
  const LockGuard guard(thread_cache_lock());
  read_counters_locked(totals, count);
}

void read_counters_locked(std::uint64_t* totals, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) totals[i] = 0;
  shared_counters.add_to(totals, count);
  direct_counters.add_to(totals, count);
  add_thread_counters_locked(totals, count);
  page_heap.add_counters(totals, count);
  large_heap.add_counters(totals, count);
  for (unsigned i = 0; i < shard_count; ++i) {
    shards[i].central.counters().add_to(totals, count);
  }
}

}  // namespace hz3
