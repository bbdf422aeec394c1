// Gauges of each size class.
#include <stdexcept>
#include <vector>

#include <pybind11/stl.h>

#include "api.h"
#include "gauges.h"
#include "register.h"

namespace hz3::bindings {
namespace {

constexpr Gauge<hz3_class_stats> kGauges[] = {
    {"block_bytes", &hz3_class_stats::block_bytes, "Size of one block, in bytes."},
    {"span_bytes", &hz3_class_stats::span_bytes, "Size of one span of this class, in bytes."},
    {"spans", &hz3_class_stats::spans, "Number of spans in use."},
    {"blocks_out", &hz3_class_stats::blocks_out, "Number of blocks out of central."},
    {"blocks_free", &hz3_class_stats::blocks_free,
     "Number of free blocks inside the spans in use."},
};

std::vector<hz3_class_stats> class_stats() {
  std::vector<hz3_class_stats> all(api().class_count());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].struct_bytes = sizeof all[i];
    if (api().class_stats_read(i, &all[i]) != HZ3_OK) {
      throw std::runtime_error(
          "libhz3.so does not know this class structure and is of another version than hz3py");
    }
  }
  return all;
}

}  // namespace

void register_classes(pybind11::module_& module) {
  register_gauges<hz3_class_stats>(
      module, "ClassStats", "The occupation of one size class, read at one moment.", kGauges);
  module.def("class_stats", &class_stats, "All classes, smallest blocks first.");
}

}  // namespace hz3::bindings
