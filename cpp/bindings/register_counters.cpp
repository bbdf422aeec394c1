// Counters: events on slow paths, growing since the start of the process.
#include <cstdint>
#include <string>
#include <vector>

#include <pybind11/stl.h>

#include "api.h"
#include "register.h"

namespace py = pybind11;

namespace hz3::bindings {
namespace {

// A row of the library's table, which lives as long as the process.
struct CounterInfo {
  const hz3_counter_info* row;
};

std::vector<CounterInfo> counter_table() {
  std::vector<CounterInfo> table;
  for (std::size_t i = 0; i < api().counter_count(); ++i) {
    table.push_back({api().counter_at(i)});
  }
  return table;
}

py::dict counters() {
  std::vector<std::uint64_t> values(api().counter_count());
  values.resize(api().counters_read(values.data(), values.size()));
  py::dict result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    result[api().counter_at(i)->name] = values[i];
  }
  return result;
}

}  // namespace

void register_counters(py::module_& module) {
  py::class_<CounterInfo>(module, "CounterInfo", "What is known of one counter.", py::is_final())
      .def_property_readonly(
          "name", [](const CounterInfo& counter) { return counter.row->name; },
          "For example segments_new.")
      .def_property_readonly(
          "unit", [](const CounterInfo& counter) { return counter.row->unit; },
          "\"events\", \"bytes\", \"pages\" or \"blocks\".")
      .def_property_readonly(
          "doc", [](const CounterInfo& counter) { return counter.row->doc; }, "What is counted.")
      .def("__repr__", [](const CounterInfo& counter) {
        return std::string("<hz3py counter ") + counter.row->name + ">";
      });
  module.def("counter_table", &counter_table, "All counters in the order of the library's table.");
  module.def("counters", &counters, "Name to value; values only grow.");
}

}  // namespace hz3::bindings
