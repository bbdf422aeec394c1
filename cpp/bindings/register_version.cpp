// Which libhz3.so answers, and its version.
#include <optional>
#include <string>

#include <pybind11/stl.h>

#include "api.h"
#include "register.h"

namespace hz3::bindings {
namespace {

std::optional<std::string> name_of(Origin where) {
  switch (where) {
    case Origin::kPreloaded:
      return "preloaded";
    case Origin::kPrivate:
      return "private";
    case Origin::kNone:
      break;
  }
  return std::nullopt;
}

}  // namespace

void register_version(pybind11::module_& module) {
  namespace py = pybind11;
  module.def(
      "attach", [](const std::string& path) { return name_of(attach(path)); }, py::arg("path"),
      "Use the process's own libhz3.so (\"preloaded\"), else load `path` (\"private\").\n\n"
      "Raises RuntimeError with the reason if neither works. Later calls change nothing.");
  module.def(
      "attached", [] { return name_of(origin()); },
      "\"preloaded\", \"private\", or None before the first attach().");
  module.def("library_path", &library_path, "The file that the library was mapped from.");
  module.def("serves_malloc", &serves_malloc,
             "True if the malloc of this process is the attached library's.");
  module.def(
      "version", [] { return api().version(); }, "Version of the running library.");
}

}  // namespace hz3::bindings
