// Names and meanings of the counters.
#include "settings/counters.h"

namespace hz3 {
namespace {

constexpr hz3_counter_info kTable[] = {
    {"bin_miss", "events", "malloc found its bin empty"},
    {"bin_overflow", "events", "free found its bin full"},
    {"transfer_push", "batches", "batches handed to the transfer cache"},
    {"transfer_full", "events", "the lane of this shard and class was full"},
    {"transfer_hit", "batches", "batches taken from the shard's own lane of the transfer cache"},
    {"transfer_steal", "batches", "batches taken from another shard's lane of the transfer cache"},
    {"stash_push", "batches", "batches pushed to the stash of their owner"},
    {"stash_overflow", "events", "a stash held stash_max_objs blocks already"},
    {"stash_drain", "batches", "batches drained from stashes by their owners"},
    {"stash_fastpop", "batches", "batches taken from stashes one at a time (stash_fastpop)"},
    {"stash_spill_hit", "batches", "batches taken from the spill of an earlier drain"},
    {"remote_stash_gather", "blocks", "blocks of other shards put into remote stashes"},
    {"remote_stash_send", "batches", "batches sent off by remote stashes"},
    {"remote_stash_evict", "batches", "batches sent early, because another one needed the slot"},
    {"page_queue_push", "blocks", "blocks marked as pending in their spans"},
    {"page_queue_link", "spans", "spans linked in a page queue by those who marked blocks"},
    {"page_queue_drain", "events", "page queues emptied by lock holders"},
    {"page_queue_spans", "spans", "spans whose pending blocks were merged"},
    {"page_queue_skip", "events", "refills that left a page queue for later (collect_every)"},
    {"central_refill", "blocks", "blocks taken out of spans"},
    {"central_return", "blocks", "blocks put back into spans"},
    {"central_steal", "blocks", "blocks taken out of spans of another shard"},
    {"spans_new", "spans", "spans cut from segments"},
    {"spans_released", "spans", "empty spans given back to segments"},
    {"segments_new", "segments", "segments taken into use"},
    {"pack_hit", "events", "a run of pages was found in an open segment"},
    {"pack_miss", "events", "no open segment had the run of pages"},
    {"pack_tries", "segments", "segments looked at"},
    {"active_hit", "events", "a run of pages was found in the active set of the shard"},
    {"active_miss", "events", "the active set of the shard had no such run"},
    {"active_evict", "segments", "segments that left an active set for another one"},
    {"segments_released", "segments", "segments whose last memory went back to the system"},
    {"quarantined", "segments", "nearly empty segments that got no new runs from then on"},
    {"quarantine_drained", "segments", "quarantined segments that became empty in time"},
    {"quarantine_pinned", "segments", "quarantined segments that did not"},
    {"quarantine_lifted", "segments", "quarantined segments that were needed after all"},
    {"reclaim_calls", "events", "attempts to take memory back from caches"},
    {"reclaim_pages", "pages", "pages that came free in them"},
    {"reclaim_focus_blocks", "blocks", "blocks brought home to empty one segment first"},
    {"reclaim_summons", "events", "thread caches flushed because another thread ran short"},
    {"reclaim_upgrades", "events", "requests served by a larger class for want of pages"},
    {"reclaim_outside", "events", "blocks above 8 KiB put among the large ones for want of pages"},
    {"purge_calls", "events", "pieces given back to the system"},
    {"purge_bytes", "bytes", "bytes given back to the system"},
    {"purge_collapses", "events", "purges of everything because the pages in use collapsed"},
    {"retention_frozen_pages", "pages", "free pages above the recent demand, set aside"},
    {"retention_thawed_pages", "pages", "frozen pages handed out after all"},
    {"retention_debt_pages", "pages", "pages given back and wanted again at once"},
    {"retention_pauses", "events", "purges put off because of that"},
    {"subrelease_bytes", "bytes", "bytes given back out of segments still in use"},
    {"large_alloc", "events", "large blocks handed out"},
    {"large_cache_hit", "events", "large blocks served from freed ones"},
    {"large_cache_hit_bytes", "bytes", "bytes of large blocks served from freed ones"},
    {"large_moved", "events", "large blocks moved by remapping pages instead of copying"},
    {"large_stitched", "events", "large blocks that got pages of several freed ones"},
    {"large_stitched_bytes", "bytes", "bytes moved under new large blocks from freed ones"},
    {"tick_by_events", "ticks", "ticks caused by epoch_events slow events"},
    {"tick_by_clock", "ticks", "ticks caused by the clock"},
    {"decay_bins", "bins", "idle bins whose bound was halved"},
    {"decay_trimmed", "blocks", "blocks that left idle and calm bins"},
    {"bin_calmed", "bins",
     "bins whose bound was halved because they seldom were empty and full in turn"},
    {"alloc_failed", "events", "requests that got no memory"},
    {"threads_started", "threads", "thread caches handed out"},
    {"invalid_frees", "events", "frees refused as invalid"},
};
static_assert(sizeof kTable / sizeof kTable[0] == kCounterCount);

}  // namespace

CounterBlock shared_counters;
CounterBlock direct_counters;

const hz3_counter_info* counter_info(std::size_t index) {
  return index < kCounterCount ? &kTable[index] : nullptr;
}

}  // namespace hz3
