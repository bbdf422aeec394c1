// The knobs and their present values. One row here is all that a knob needs to be known to the
// variables, the C API, the Python module and the tuner.
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr std::int64_t kKi = 1024;
constexpr std::int64_t kMi = 1024 * kKi;
constexpr std::int64_t kGi = 1024 * kMi;
constexpr std::int64_t kTi = 1024 * kGi;

}  // namespace

constexpr hz3_knob_info knob_table[kKnobCount] = {
    {"arena_bytes", "HZ3_ARENA_BYTES", "bytes",
     "address space reserved for blocks up to 256 KiB; 0 chooses four times the memory of the "
     "machine",
     "A1", nullptr, HZ3_KNOB_BYTES, HZ3_KNOB_AT_START, 0, 16 * kTi, 0},
    {"shards", "HZ3_SHARDS", "shards",
     "pools that own spans, shared by all threads; 0 chooses two per CPU, at least 4: more means "
     "less "
     "waiting for locks and more partly used spans",
     "A2", nullptr, HZ3_KNOB_INT, HZ3_KNOB_AT_START, 0, 64, 0},
    {"thread_cache_bytes", "HZ3_THREAD_CACHE_BYTES", "bytes",
     "most bytes that the cache of one thread keeps over a tick: more saves trips to shared pools, "
     "less saves memory",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kGi, 8 * kMi},
    {"bin_bytes", "HZ3_BIN_BYTES", "bytes", "most bytes in one bin (size class) of a thread cache",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 4 * kKi, 64 * kMi, 512 * kKi},
    {"bin_blocks", "HZ3_BIN_BLOCKS", "blocks",
     "most blocks in one bin of a thread cache, whatever their size", "A3", nullptr, HZ3_KNOB_INT,
     0, 4, 511, 511},
    {"bin_long_bytes", "HZ3_BIN_LONG_BYTES", "bytes",
     "a bin holds more than 127 blocks only while they are at most this many bytes: more saves "
     "trips to shared pools, less saves memory",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 0, 4 * kMi, 64 * kKi},
    {"bin_calm_bytes", "HZ3_BIN_CALM_BYTES", "bytes",
     "a bin holds more bytes than this, and more than 16 blocks, only while it is empty and full "
     "in turn many times in 10 ms: more saves trips to shared pools, less saves memory where sizes "
     "vary widely",
     "A3", nullptr, HZ3_KNOB_BYTES, 0, 0, 64 * kMi, 128 * kKi},
    {"remote_batch", "HZ3_REMOTE_BATCH", "blocks",
     "blocks of another shard that a thread gathers before they leave it; 0 lets them leave with "
     "the batch they are in: more saves trips, less saves memory",
     "A4", nullptr, HZ3_KNOB_INT, 0, 0, 126, 0},
    {"remote_route", "HZ3_REMOTE_ROUTE", "",
     "where batches of blocks of other shards go first: the owner's stash, the transfer cache, "
     "where they wait whole for the owner of one of them, or marks in their spans, which the "
     "owner's page queue lists",
     "A9", "owner_stash|transfer|page_queue", HZ3_KNOB_CHOICE, 0, 0, 2, 1},
    {"page_packet_k", "HZ3_PAGE_PACKET_K", "blocks",
     "blocks of one span that a thread gathers before it marks them, on the page queue; 0 marks "
     "each batch at once",
     "A9", nullptr, HZ3_KNOB_INT, 0, 0, 126, 0},
    {"collect_every", "HZ3_COLLECT_EVERY", "events",
     "refills of a shard and class from one look at its page queue to the next while it has partly "
     "used spans; 0 looks each time",
     "A9", nullptr, HZ3_KNOB_INT, 0, 0, 1024, 0},
    {"drain_limit", "HZ3_DRAIN_LIMIT", "blocks",
     "most blocks that one refill takes out of the owner's stash; the rest waits as spill", "A5",
     nullptr, HZ3_KNOB_INT, 0, 1, 4096, 126},
    {"stash_max_objs", "HZ3_STASH_MAX_OBJS", "blocks",
     "most blocks parked in the stash, or in the page queue, of one shard and class; what does not "
     "fit goes to the transfer cache, then to central",
     "A5", nullptr, HZ3_KNOB_INT, 0, 0, 65536, 2048},
    {"stash_fastpop", "HZ3_STASH_FASTPOP", "",
     "a refill takes one batch out of the owner's stash and leaves the others there, instead of "
     "draining it at once: an exchange per batch, but hardly any spill",
     "A5", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 0},
    {"stash_count", "HZ3_STASH_COUNT", "",
     "keep count of the blocks in the owner's stash; off saves each push a look at the batch "
     "below, "
     "but stash_max_objs then bounds only what is left while the lock of the shard is held",
     "A5", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 1},
    {"stash_spill", "HZ3_STASH_SPILL", "",
     "keep what a drain leaves over as a private list of the shard; off puts it into its spans at "
     "once",
     "A6", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 1},
    {"transfer_slots", "HZ3_TRANSFER_SLOTS", "batches",
     "most batches per shard and class in the transfer cache; 0 turns it off", "A7", nullptr,
     HZ3_KNOB_INT, 0, 0, 1024, 256},
    {"transfer_bytes", "HZ3_TRANSFER_BYTES", "bytes",
     "most bytes per shard and class in the transfer cache", "A7", nullptr, HZ3_KNOB_BYTES, 0, 0,
     1 * kGi, 256 * kKi},
    {"pack_tries", "HZ3_PACK_TRIES", "segments",
     "most segments looked at for a run of pages before a new segment is opened", "A10", nullptr,
     HZ3_KNOB_INT, 0, 1, 1024, 32},
    {"pack_bestfit_k", "HZ3_PACK_BESTFIT_K", "segments",
     "fitting segments compared before the fullest is taken; 0 takes the first that fits", "A11",
     nullptr, HZ3_KNOB_INT, 0, 0, 64, 4},
    {"active_set_k", "HZ3_ACTIVE_SET_K", "segments",
     "segments that a shard tries before all others, best fit first: fewer segments looked at and "
     "more locality, less packing; 0 turns it off",
     "A12", nullptr, HZ3_KNOB_INT, 0, 0, 8, 0},
    {"quarantine", "HZ3_QUARANTINE", "pages",
     "a segment with at most this many used pages gets no new runs, so that it drains and goes "
     "back to the system whole; 0 turns it off",
     "A13", nullptr, HZ3_KNOB_INT, 0, 0, 255, 0},
    {"quarantine_ttl_ms", "HZ3_QUARANTINE_TTL_MS", "ms",
     "how long a segment may drain; one that still has used pages then serves again and is left "
     "alone for as long",
     "A13", nullptr, HZ3_KNOB_INT, 0, 0, 3'600'000, 1000},
    {"reclaim_budget_pages", "HZ3_RECLAIM_BUDGET_PAGES", "pages",
     "when there is no memory: pages taken back from shared caches before the request is tried "
     "again; less leaves more in the caches and tries more often",
     "A14", nullptr, HZ3_KNOB_INT, 0, 1, 1'048'576, 4096},
    {"large_cache_soft", "HZ3_LARGE_CACHE_SOFT", "bytes",
     "freed large blocks above this are given back to the system as soon as they are freed", "A15",
     nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 512 * kMi},
    {"large_cache_hard", "HZ3_LARGE_CACHE_HARD", "bytes",
     "never keep more freed large blocks than this, whatever their age", "A15", nullptr,
     HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 1 * kGi},
    {"large_madvise", "HZ3_LARGE_MADVISE", "",
     "give every large block back to the system when it is freed: least memory, most page faults",
     "A15", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 0},
    {"large_return_rate", "HZ3_LARGE_RETURN_RATE", "bytes/s",
     "freed large blocks that nobody wants for 20 ms go back to the system up to this rate, and "
     "after purge_delay_ms above it: more saves memory, less saves page faults",
     "A15", nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 32 * kMi},
    {"large_stitch", "HZ3_LARGE_STITCH", "",
     "where no freed large block is long enough, move the pages of several under the new one: "
     "fewer "
     "page faults and less memory, more mappings",
     "A15", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 1},
    {"huge_pages", "HZ3_HUGE_PAGES", "",
     "huge pages: off, or for the 2 MiB parts of blocks of at least 4 MiB: a tenth of the page "
     "faults, but "
     "slow where the kernel has to compact memory first",
     "A15", "off|large", HZ3_KNOB_CHOICE, 0, 0, 1, 0},
    {"purge_delay_ms", "HZ3_PURGE_DELAY_MS", "ms",
     "free pages are given back to the system after lying idle this long: less saves memory, more "
     "saves page faults",
     "A16", nullptr, HZ3_KNOB_INT, 0, 0, 3'600'000, 1000},
    {"purge_budget_bytes", "HZ3_PURGE_BUDGET_BYTES", "bytes", "most bytes given back in one tick",
     "A16", nullptr, HZ3_KNOB_BYTES, 0, 64 * kKi, 1 * kTi, 16 * kMi},
    {"purge_collapse", "HZ3_PURGE_COLLAPSE", "percent",
     "give all free pages back at once when the memory in use falls below this share of its recent "
     "peak, after it stayed above for half a second, or a tenth where that costs little beside "
     "the life so far: less memory in programs that free much and then wait; less and less often "
     "in those that build up again soon; 0 turns it off",
     "A16", nullptr, HZ3_KNOB_INT, 0, 0, 90, 25},
    {"retention_frozen_percent", "HZ3_RETENTION_FROZEN_PERCENT", "percent",
     "free pages within this share of the recent demand stay; those above are frozen: handed out "
     "last and given back after the delay; 0 gives every idle page back",
     "A16", nullptr, HZ3_KNOB_INT, 0, 0, 400, 0},
    {"retention_debt_bytes", "HZ3_RETENTION_DEBT_BYTES", "bytes",
     "purging pauses while more than this was given back and wanted again at once; 0 never pauses",
     "A16", nullptr, HZ3_KNOB_BYTES, 0, 0, 1 * kTi, 0},
    {"retention_subrelease", "HZ3_RETENTION_SUBRELEASE", "",
     "give parts of segments back; off waits until a whole segment is free: fewer system calls, "
     "more memory",
     "A16", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 1},
    {"epoch_events", "HZ3_EPOCH_EVENTS", "events",
     "slow events of a thread (misses and overflows of all classes) between two ticks", "A17",
     nullptr, HZ3_KNOB_INT, 0, 16, 1'000'000, 256},
    {"epoch_ms", "HZ3_EPOCH_MS", "ms",
     "time after which a slow event causes a tick, however few events there were", "A17", nullptr,
     HZ3_KNOB_INT, 0, 1, 3'600'000, 100},
    {"decay_percent", "HZ3_DECAY_PERCENT", "percent",
     "how much of its bound an idle bin of a thread cache loses: more saves memory, less saves "
     "trips to shared pools; 0 turns the decay off",
     "A17", nullptr, HZ3_KNOB_INT, 0, 0, 100, 50},
    {"decay_idle_ticks", "HZ3_DECAY_IDLE_TICKS", "ticks",
     "ticks in a row that must find a bin unused before it decays", "A17", nullptr, HZ3_KNOB_INT, 0,
     1, 100, 2},
    {"atexit_purge", "HZ3_ATEXIT_PURGE", "",
     "give all idle memory back when the process exits; shows what could have been given back",
     "A18", nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 0},
    {"atexit_report", "HZ3_ATEXIT_REPORT", "", "one line of figures on stderr at exit", "A18",
     nullptr, HZ3_KNOB_BOOL, 0, 0, 1, 0},
    {"on_invalid_free", "HZ3_ON_INVALID_FREE", "",
     "what a free of something that is not a live block does: stop the process, or print the line "
     "and "
     "go on",
     "A20", "abort|warn", HZ3_KNOB_CHOICE, 0, 0, 1, 0},
    {"observe", "HZ3_OBSERVE", "",
     "write where resident memory sits, as JSON to the file HZ3_OBSERVE_FILE or stderr: at exit, "
     "or "
     "at each SIGUSR2; stops slow paths for milliseconds per gigabyte",
     "A19", "off|exit|signal", HZ3_KNOB_CHOICE, HZ3_KNOB_AT_START, 0, 2, 0},
    {"live_page", "HZ3_LIVE_PAGE", "",
     "publish gauges and counters for `hz3 top` in a file in /dev/shm: at most a hundred updates a "
     "second, on slow paths",
     "A19", nullptr, HZ3_KNOB_BOOL, HZ3_KNOB_AT_START, 0, 1, 0},
};

namespace detail {

template <std::size_t... kIndex>
constexpr KnobValues::KnobValues(std::index_sequence<kIndex...>)
    : of{knob_table[kIndex].default_value...} {}

// Constant-initialised, so that a value is there before any constructor runs.
constinit KnobValues knob_values{std::make_index_sequence<kKnobCount>{}};

}  // namespace detail
}  // namespace hz3
