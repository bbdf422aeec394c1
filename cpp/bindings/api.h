// The C functions of the one libhz3.so that this process talks to.
//
// The binding module neither contains nor links the allocator: a second copy
// would report an idle heap. It looks the functions up by name, in the preloaded
// library first. The table is filled once, under the interpreter lock, and never
// changes afterwards.
#pragma once

#include <hz3/hz3.h>

#include <string>

namespace hz3::bindings {

struct Api {
  decltype(&hz3_version) version = nullptr;

  decltype(&hz3_malloc) malloc = nullptr;
  decltype(&hz3_calloc) calloc = nullptr;
  decltype(&hz3_aligned_alloc) aligned_alloc = nullptr;
  decltype(&hz3_free) free = nullptr;
  decltype(&hz3_usable_size) usable_size = nullptr;
  decltype(&hz3_good_size) good_size = nullptr;
  decltype(&hz3_owns) owns = nullptr;
  decltype(&hz3_trim) trim = nullptr;

  decltype(&hz3_knob_count) knob_count = nullptr;
  decltype(&hz3_knob_at) knob_at = nullptr;
  decltype(&hz3_knob_get) knob_get = nullptr;
  decltype(&hz3_knob_set_text) knob_set_text = nullptr;

  decltype(&hz3_counter_count) counter_count = nullptr;
  decltype(&hz3_counter_at) counter_at = nullptr;
  decltype(&hz3_counters_read) counters_read = nullptr;

  decltype(&hz3_stats_read) stats_read = nullptr;
  decltype(&hz3_class_count) class_count = nullptr;
  decltype(&hz3_class_stats_read) class_stats_read = nullptr;

  decltype(&hz3_observe_write) observe_write = nullptr;
};

enum class Origin {
  kNone,       // attach() has not succeeded yet
  kPreloaded,  // found in the process: preloaded or linked
  kPrivate,    // loaded by attach() with symbols that interpose nothing
};

// Finds the library and fills the table; `path` is used only where the process
// has no libhz3.so of its own. Throws std::runtime_error with the reason.
// Later calls change nothing.
Origin attach(const std::string& path);

Origin origin();

// The filled table. Throws std::runtime_error before attach().
const Api& api();

// The file the library was mapped from.
std::string library_path();

// True if the process's malloc comes from the attached library.
bool serves_malloc();

}  // namespace hz3::bindings
