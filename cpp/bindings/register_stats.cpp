// Gauges of the whole heap.
#include <stdexcept>

#include "api.h"
#include "gauges.h"
#include "register.h"

namespace hz3::bindings {
namespace {

constexpr Gauge<hz3_stats> kGauges[] = {
    {"mapped_bytes", &hz3_stats::mapped_bytes,
     "Address space used for blocks, in bytes: segments in use and own mappings."},
    {"committed_bytes", &hz3_stats::committed_bytes,
     "Bytes of pages that may be resident: used or dirty."},
    {"live_bytes", &hz3_stats::live_bytes,
     "Bytes of blocks out of central: with the application or in a cache."},
    {"cached_bytes", &hz3_stats::cached_bytes,
     "Part of live_bytes that is parked in thread caches, stashes and the transfer cache."},
    {"dirty_free_bytes", &hz3_stats::dirty_free_bytes,
     "Bytes of free pages that the system has not got back yet."},
    {"large_bytes", &hz3_stats::large_bytes, "Bytes in use in blocks with a mapping of their own."},
    {"large_cached_bytes", &hz3_stats::large_cached_bytes,
     "Bytes of cached mappings of freed large blocks."},
    {"metadata_bytes", &hz3_stats::metadata_bytes,
     "Bytes of descriptors, magazines, thread caches and tables."},
    {"peak_committed_bytes", &hz3_stats::peak_committed_bytes,
     "Greatest committed_bytes so far, in bytes."},
    {"threads", &hz3_stats::threads, "Number of thread caches in use."},
    {"shards", &hz3_stats::shards, "Number of shards."},
    {"segments", &hz3_stats::segments, "Number of segments in use."},
    {"spans", &hz3_stats::spans, "Number of spans in use."},
};

hz3_stats stats() {
  hz3_stats values{};
  values.struct_bytes = sizeof values;
  if (api().stats_read(&values) != HZ3_OK) {
    throw std::runtime_error(
        "libhz3.so does not know this statistics structure and is of another version than hz3py");
  }
  return values;
}

}  // namespace

void register_stats(pybind11::module_& module) {
  register_gauges<hz3_stats>(module, "Stats", "The present state of the heap, read at one moment.",
                             kGauges);
  module.def("stats", &stats, "Read the gauges.");
}

}  // namespace hz3::bindings
