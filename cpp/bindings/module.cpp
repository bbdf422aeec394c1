// hz3py._core: the live allocator seen from Python. Only hz3py/native.py
// imports it. Everything here runs under the interpreter lock.
#include "register.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The libhz3.so that is live in this process. Use hz3py.native instead.";
  hz3::bindings::register_version(module);
  hz3::bindings::register_knobs(module);
  hz3::bindings::register_counters(module);
  hz3::bindings::register_stats(module);
  hz3::bindings::register_classes(module);
  hz3::bindings::register_observation(module);
  hz3::bindings::register_allocation(module);
}
