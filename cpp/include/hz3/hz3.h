/* hz3: a general-purpose memory allocator for Linux. The one public header.
 *
 * libhz3.so replaces the malloc family of a process when it is preloaded
 * (LD_PRELOAD) or linked. The functions below exist beside that family; all of
 * them may be called from any thread, none of them allocates on the caller's
 * behalf unless it says so, and none of them changes errno unless it says so.
 *
 * Structures carry their own size in the first field so that a newer library
 * can serve an older caller: set `struct_bytes = sizeof(...)` before the call.
 */
#ifndef HZ3_HZ3_H
#define HZ3_HZ3_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HZ3_VERSION "0.1.0"

#define HZ3_API __attribute__((visibility("default")))

/* Version of the running library, for example "0.1.0". */
HZ3_API const char* hz3_version(void);

/* ---- Allocation under names of its own ---------------------------------
 * The same functions as the interposed family, for programs that load the
 * library without replacing malloc (a private instance). Blocks of the two
 * families are interchangeable when both live in one library image. A block
 * starts on a multiple of 16, one of up to 8 bytes on a multiple of 8. */
HZ3_API void* hz3_malloc(size_t size);
HZ3_API void* hz3_calloc(size_t count, size_t size);
HZ3_API void* hz3_realloc(void* ptr, size_t size);
HZ3_API void* hz3_aligned_alloc(size_t alignment, size_t size);
HZ3_API void hz3_free(void* ptr);
HZ3_API size_t hz3_usable_size(const void* ptr);

/* The number of bytes that malloc(size) would really provide; 0 if `size`
 * exceeds PTRDIFF_MAX, which malloc always refuses. */
HZ3_API size_t hz3_good_size(size_t size);

/* 1 if `ptr` is the start of a block that this library handed out and has not
 * got back as far as it can tell, else 0. Never crashes. */
HZ3_API int hz3_owns(const void* ptr);

/* Give everything idle back: this thread's cache, shared caches, free pages.
 * Returns the number of bytes returned to the system. */
HZ3_API size_t hz3_trim(void);

/* Looks for contradictions in the allocator's own structures: free bits against
 * counts, tags against pages, no block parked twice, the ranges of large blocks
 * without a gap. Returns how many there are, 0 for a sound heap, and writes one
 * line about the first to stderr. Takes milliseconds on a large heap; of the
 * threads' caches only the caller's is looked at. */
HZ3_API size_t hz3_check_heap(void);

/* ---- Knobs ---------------------------------------------------------------
 * One table. A knob takes effect at the next slow event of each thread; a
 * start-up knob only before the first allocation, through its variable. */
typedef enum hz3_knob_type {
  HZ3_KNOB_INT = 0,   /* a count */
  HZ3_KNOB_BYTES = 1, /* bytes; text accepts the suffixes K, M, G, T (powers of 1024) */
  HZ3_KNOB_BOOL = 2,  /* 0 or 1; text accepts 0/1, off/on, false/true, no/yes */
  HZ3_KNOB_CHOICE = 3 /* index into `choices`; text accepts the name */
} hz3_knob_type;

enum { HZ3_KNOB_AT_START = 1u }; /* flags: can only be set through the environment */

typedef struct hz3_knob_info {
  const char* name;    /* "purge_delay_ms" */
  const char* env;     /* "HZ3_PURGE_DELAY_MS" */
  const char* unit;    /* "ms", "bytes", "blocks", "" ... */
  const char* doc;     /* what it trades, one sentence */
  const char* seed;    /* which system of the design notes it belongs to, "A16" */
  const char* choices; /* names separated by '|', NULL unless HZ3_KNOB_CHOICE */
  hz3_knob_type type;
  uint32_t flags;
  int64_t min_value;
  int64_t max_value;
  int64_t default_value;
} hz3_knob_info;

enum {
  HZ3_OK = 0,
  HZ3_UNKNOWN_NAME = 1,  /* no such knob */
  HZ3_OUT_OF_RANGE = 2,  /* the value is outside [min_value, max_value] or not a choice */
  HZ3_NOT_A_VALUE = 3,   /* the text cannot be read as a value of this type */
  HZ3_ONLY_AT_START = 4, /* this knob can only be set through its variable */
  HZ3_NO_MEMORY = 5,     /* the system refused memory */
  HZ3_NOT_WRITTEN = 6    /* a file descriptor did not take everything */
};

HZ3_API size_t hz3_knob_count(void);
HZ3_API const hz3_knob_info* hz3_knob_at(size_t index); /* NULL past the end */
HZ3_API int hz3_knob_get(const char* name, int64_t* value);
HZ3_API int hz3_knob_set(const char* name, int64_t value);
/* Like hz3_knob_set with text, as in the HZ3_* variables. On refusal one line
 * that says what is allowed is written to `message` (always terminated). */
HZ3_API int hz3_knob_set_text(const char* name, const char* text, char* message,
                              size_t message_bytes);

/* ---- Counters ------------------------------------------------------------
 * Counted on slow paths only; monotonic since start. The hit path of malloc
 * and free counts nothing. */
typedef struct hz3_counter_info {
  const char* name; /* "segments_new" */
  const char* unit; /* what is counted, plural: "events", "bytes", "blocks", "batches" ... */
  const char* doc;
} hz3_counter_info;

HZ3_API size_t hz3_counter_count(void);
HZ3_API const hz3_counter_info* hz3_counter_at(size_t index); /* NULL past the end */
/* Fills min(count, hz3_counter_count()) values, returns how many. */
HZ3_API size_t hz3_counters_read(uint64_t* values, size_t count);

/* ---- Statistics: gauges of the present state ------------------------------ */
typedef struct hz3_stats {
  size_t struct_bytes;         /* set by the caller */
  uint64_t mapped_bytes;       /* address space used for blocks (segments in use + own mappings) */
  uint64_t committed_bytes;    /* pages that may be resident: used or dirty */
  uint64_t live_bytes;         /* blocks out of central: with the application or in a cache */
  uint64_t cached_bytes;       /* of these, parked in thread caches, stashes and transfer cache */
  uint64_t dirty_free_bytes;   /* free pages not yet given back to the system */
  uint64_t large_bytes;        /* blocks with a mapping of their own, in use */
  uint64_t large_cached_bytes; /* cached mappings of freed large blocks */
  uint64_t metadata_bytes;     /* descriptors, magazines, thread caches, tables */
  uint64_t peak_committed_bytes;
  uint64_t threads; /* thread caches in use */
  uint64_t shards;
  uint64_t segments; /* segments in use */
  uint64_t spans;    /* spans in use */
} hz3_stats;

/* Fills the first struct_bytes bytes; HZ3_OK, or HZ3_NOT_A_VALUE for a bad size. */
HZ3_API int hz3_stats_read(hz3_stats* stats);

typedef struct hz3_class_stats {
  size_t struct_bytes;  /* set by the caller */
  uint64_t block_bytes; /* size of one block */
  uint64_t span_bytes;  /* size of one span of this class */
  uint64_t spans;       /* spans in use */
  uint64_t blocks_out;  /* blocks out of central */
  uint64_t blocks_free; /* free blocks inside spans in use */
} hz3_class_stats;

HZ3_API size_t hz3_class_count(void);
HZ3_API int hz3_class_stats_read(size_t index, hz3_class_stats* stats);

/* ---- Observation: where resident memory sits -------------------------------
 * Looks up which pages are in memory and who holds every block. It stops the
 * slow paths of other threads while it looks (milliseconds per gigabyte), and
 * needs no memory of the heap: safe in a signal handler, in an exit handler and
 * in the child of fork. Threads go on meanwhile, so what sits in their caches is
 * approximate to a few blocks each; all that a lock protects is exact as long as
 * `locks_missed` is 0. */
typedef struct hz3_observation {
  size_t struct_bytes; /* set by the caller */

  /* Parts, in resident bytes. They add up to resident_bytes. */
  uint64_t live_bytes;         /* blocks up to 256 KiB in the hands of the application */
  uint64_t thread_cache_bytes; /* free blocks in the bins of threads */
  uint64_t stash_bytes;        /* free blocks in the stashes of shards */
  uint64_t spill_bytes;        /* free blocks left over from drained stashes */
  uint64_t transfer_bytes;     /* free blocks in the transfer cache */
  uint64_t central_bytes;      /* free blocks in spans that are partly used */
  uint64_t tail_waste_bytes;   /* ends of spans, too short for a block */
  uint64_t free_pages_bytes;   /* free pages of segments, not yet given back */
  uint64_t large_live_bytes;   /* large blocks in the hands of the application */
  uint64_t large_cache_bytes;  /* freed large blocks, not yet given back */
  uint64_t metadata_bytes;     /* tables, descriptors, magazines, thread caches */
  uint64_t non_heap_bytes;     /* the rest of the process; 0 where /proc is missing */

  uint64_t heap_resident_bytes; /* the parts without non_heap_bytes */
  uint64_t resident_bytes;      /* all parts */
  /* The same two as the kernel counts them (/proc/self/smaps); 0 where that is missing. A page
   * that was only ever read is none of the kernel's, but one of ours. */
  uint64_t kernel_heap_resident_bytes;
  uint64_t kernel_resident_bytes;

  /* The same pages in another cut: spans by how full they are. */
  uint64_t partial_spans;
  uint64_t empty_spans;
  uint64_t full_spans;
  uint64_t partial_span_bytes; /* resident */
  uint64_t empty_span_bytes;
  uint64_t full_span_bytes;

  uint64_t segments;   /* in use */
  uint64_t used_pages; /* of segments, 8 KiB each */
  uint64_t free_pages;
  uint64_t dirty_pages; /* free pages that may be resident */
  uint64_t threads;     /* thread caches in use */
  uint64_t locks_missed;

  /* Two more parts. */
  uint64_t remote_stash_bytes; /* free blocks that threads gather for other shards */
  uint64_t page_queue_bytes;   /* free blocks marked beside their spans, not yet merged */
} hz3_observation;

typedef struct hz3_class_observation {
  size_t struct_bytes; /* of the first element of an array: set by the caller */
  uint64_t block_bytes;
  uint64_t span_bytes;
  uint64_t partial_spans;
  uint64_t empty_spans;
  uint64_t full_spans;
  uint64_t live_blocks;
  uint64_t parked_blocks; /* free, and not yet back in their spans */
  uint64_t free_blocks;   /* in spans */
  /* Resident bytes, as above. */
  uint64_t live_bytes;
  uint64_t thread_cache_bytes;
  uint64_t stash_bytes;
  uint64_t spill_bytes;
  uint64_t transfer_bytes;
  uint64_t central_bytes;
  uint64_t tail_waste_bytes;
  uint64_t remote_stash_bytes;
  uint64_t page_queue_bytes;
} hz3_class_observation;

/* Observes, fills `whole` and, unless `classes` is NULL, min(class_count, hz3_class_count())
 * elements of it. HZ3_NOT_A_VALUE for a bad size, HZ3_NO_MEMORY if the system has none. */
HZ3_API int hz3_observe(hz3_observation* whole, hz3_class_observation* classes, size_t class_count);

/* Observes and writes all of it to a file descriptor as one line of JSON. HZ3_NO_MEMORY as above,
 * HZ3_NOT_WRITTEN if the descriptor took only a part or nothing. */
HZ3_API int hz3_observe_write(int descriptor);

#ifdef __cplusplus
}
#endif

#endif /* HZ3_HZ3_H */
