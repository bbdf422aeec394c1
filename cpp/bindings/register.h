// One function per topic; each adds its names to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace hz3::bindings {

void register_version(pybind11::module_& module);
void register_knobs(pybind11::module_& module);
void register_counters(pybind11::module_& module);
void register_stats(pybind11::module_& module);
void register_classes(pybind11::module_& module);
void register_observation(pybind11::module_& module);
void register_allocation(pybind11::module_& module);

}  // namespace hz3::bindings
