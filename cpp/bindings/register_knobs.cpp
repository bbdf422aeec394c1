// The knob table and its present values.
#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <pybind11/stl.h>

#include "api.h"
#include "register.h"

namespace py = pybind11;

namespace hz3::bindings {
namespace {

// A row of the library's table. The rows are constants of the library, which is
// never unloaded, so a pointer stays good.
struct KnobInfo {
  const hz3_knob_info* row;
};

const char* type_name(hz3_knob_type type) {
  switch (type) {
    case HZ3_KNOB_INT:
      return "int";
    case HZ3_KNOB_BYTES:
      return "bytes";
    case HZ3_KNOB_BOOL:
      return "bool";
    case HZ3_KNOB_CHOICE:
      return "choice";
  }
  throw std::runtime_error("libhz3.so has a knob type that this hz3py does not know");
}

std::vector<std::string> choices_of(const hz3_knob_info& row) {
  std::vector<std::string> names;
  std::string_view rest = row.choices == nullptr ? "" : row.choices;
  while (!rest.empty()) {
    const std::size_t bar = rest.find('|');
    names.emplace_back(rest.substr(0, bar));
    rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
  }
  return names;
}

// A knob's value as Python means it: bool, the name of a choice, or int.
py::object typed(const hz3_knob_info& row, std::int64_t value) {
  switch (row.type) {
    case HZ3_KNOB_BOOL:
      return py::bool_(value != 0);
    case HZ3_KNOB_CHOICE:
      return py::str(choices_of(row).at(static_cast<std::size_t>(value)));
    case HZ3_KNOB_INT:
    case HZ3_KNOB_BYTES:
      break;
  }
  return py::int_(value);
}

const hz3_knob_info& row_of(const std::string& name) {
  for (std::size_t i = 0; i < api().knob_count(); ++i) {
    const hz3_knob_info* row = api().knob_at(i);
    if (name == row->name) {
      return *row;
    }
  }
  throw py::key_error(name);
}

py::object knob_get(const std::string& name) {
  const hz3_knob_info& row = row_of(name);
  std::int64_t value = 0;
  if (api().knob_get(row.name, &value) != HZ3_OK) {
    throw py::key_error(name);
  }
  return typed(row, value);
}

void knob_set(const std::string& name, const std::string& text) {
  const hz3_knob_info& row = row_of(name);
  std::array<char, 512> message{};
  if (api().knob_set_text(row.name, text.c_str(), message.data(), message.size()) != HZ3_OK) {
    throw py::value_error(message.data());
  }
}

std::vector<KnobInfo> knob_table() {
  std::vector<KnobInfo> table;
  for (std::size_t i = 0; i < api().knob_count(); ++i) {
    table.push_back({api().knob_at(i)});
  }
  return table;
}

}  // namespace

void register_knobs(py::module_& module) {
  py::class_<KnobInfo>(module, "KnobInfo", "What is known of one knob.", py::is_final())
      .def_property_readonly(
          "name", [](const KnobInfo& knob) { return knob.row->name; },
          "For example purge_delay_ms.")
      .def_property_readonly(
          "env", [](const KnobInfo& knob) { return knob.row->env; },
          "The environment variable that sets it at start.")
      .def_property_readonly(
          "type", [](const KnobInfo& knob) { return type_name(knob.row->type); },
          "\"int\", \"bytes\", \"bool\" or \"choice\".")
      .def_property_readonly(
          "min", [](const KnobInfo& knob) { return knob.row->min_value; },
          "Least value, in `unit`.")
      .def_property_readonly(
          "max", [](const KnobInfo& knob) { return knob.row->max_value; },
          "Greatest value, in `unit`.")
      .def_property_readonly(
          "choices", [](const KnobInfo& knob) { return choices_of(*knob.row); },
          "Names to choose from; empty unless type is \"choice\".")
      .def_property_readonly(
          "default", [](const KnobInfo& knob) { return typed(*knob.row, knob.row->default_value); },
          "The value where nothing is set: int, bool or the name of a choice.")
      .def_property_readonly(
          "unit", [](const KnobInfo& knob) { return knob.row->unit; },
          "For example \"ms\" or \"bytes\"; may be empty.")
      .def_property_readonly(
          "doc", [](const KnobInfo& knob) { return knob.row->doc; }, "What it trades.")
      .def_property_readonly(
          "seed", [](const KnobInfo& knob) { return knob.row->seed; },
          "The system of the design that it belongs to.")
      .def_property_readonly(
          "at_start",
          [](const KnobInfo& knob) { return (knob.row->flags & HZ3_KNOB_AT_START) != 0; },
          "True if only the environment variable can set it.")
      .def("__repr__",
           [](const KnobInfo& knob) { return std::string("<hz3py knob ") + knob.row->name + ">"; });
  module.def("knob_table", &knob_table, "All knobs in the order of the library's table.");
  module.def("knob_get", &knob_get, py::arg("name"),
             "The present value; raises KeyError(name) if there is no such knob.");
  module.def("knob_set", &knob_set, py::arg("name"), py::arg("text"),
             "Set a knob from text as in the HZ3_* variables.\n\n"
             "Raises KeyError(name) for an unknown knob, ValueError with what is allowed.");
}

}  // namespace hz3::bindings
