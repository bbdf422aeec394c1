// Where resident memory sits, as the library's own JSON document.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "api.h"
#include "register.h"

namespace py = pybind11;

namespace hz3::bindings {
namespace {

// A file in memory, for as long as the document is on its way.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("hz3-observation", MFD_CLOEXEC)) {
    if (descriptor_ < 0) fail();
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int descriptor() const { return descriptor_; }

  std::string content() const {
    std::string text;
    std::array<char, 16384> piece;
    for (off_t offset = 0;;) {
      const ssize_t got = pread(descriptor_, piece.data(), piece.size(), offset);
      if (got < 0) fail();
      if (got == 0) return text;
      text.append(piece.data(), static_cast<std::size_t>(got));
      offset += got;
    }
  }

 private:
  [[noreturn]] static void fail() {
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }

  int descriptor_;
};

std::string observe() {
  const MemoryFile file;
  switch (api().observe_write(file.descriptor())) {
    case HZ3_OK:
      return file.content();
    case HZ3_NO_MEMORY:
      PyErr_SetString(PyExc_MemoryError, "the system has no memory for an observation");
      throw py::error_already_set();
    default:
      throw std::runtime_error("the observation could not be written to a file in memory");
  }
}

}  // namespace

void register_observation(py::module_& module) {
  module.def("observe", &observe, "Look up where resident memory sits; returns a JSON document.");
}

}  // namespace hz3::bindings
