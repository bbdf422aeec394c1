// Shows a plain C structure of uint64_t fields as a read-only Python class.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <pybind11/pybind11.h>

namespace hz3::bindings {

template <typename Struct>
struct Gauge {
  const char* name;
  std::uint64_t Struct::*field;
  const char* doc;  // with the unit
};

// Adds class `name` with one attribute per gauge, as_dict() and a repr. `gauges`
// must outlive the module: the class keeps referring to it.
template <typename Struct>
void register_gauges(pybind11::module_& module, const char* name, const char* doc,
                     std::span<const Gauge<Struct>> gauges) {
  namespace py = pybind11;
  py::class_<Struct> type(module, name, doc, py::is_final());
  for (const Gauge<Struct>& gauge : gauges) {
    type.def_readonly(gauge.name, gauge.field, gauge.doc);
  }
  type.def(
      "as_dict",
      [gauges](const Struct& values) {
        py::dict result;
        for (const Gauge<Struct>& gauge : gauges) {
          result[gauge.name] = values.*gauge.field;
        }
        return result;
      },
      "All attributes by name.");
  type.def("__repr__", [gauges, name = std::string(name)](const Struct& values) {
    std::string text = name + "(";
    for (const Gauge<Struct>& gauge : gauges) {
      text += (&gauge == gauges.data() ? "" : ", ") + std::string(gauge.name) + "=" +
              std::to_string(values.*gauge.field);
    }
    return text + ")";
  });
}

}  // namespace hz3::bindings
