// Blocks of the attached library as Python buffers, so that a private instance
// can be exercised without replacing the process's malloc.
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>

#include "api.h"
#include "register.h"

namespace py = pybind11;

namespace hz3::bindings {
namespace {

// Owns one block. It is freed with the Python object and not earlier: buffer
// views hold a reference to the object, so none of them can dangle.
class Block {
 public:
  Block(std::size_t size_bytes, std::size_t alignment_bytes, bool zeroed)
      : size_bytes_(size_bytes), data_(take(size_bytes, alignment_bytes, zeroed)) {
    if (data_ == nullptr) {
      PyErr_Format(PyExc_MemoryError, "hz3 cannot provide %zu bytes", size_bytes);
      throw py::error_already_set();
    }
  }
  ~Block() { api().free(data_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::size_t size_bytes() const { return size_bytes_; }
  std::size_t usable_bytes() const { return api().usable_size(data_); }
  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(data_); }

  py::buffer_info buffer() {
    return py::buffer_info(static_cast<std::uint8_t*>(data_),
                           static_cast<py::ssize_t>(size_bytes_));
  }

 private:
  static void* take(std::size_t size_bytes, std::size_t alignment_bytes, bool zeroed) {
    if (alignment_bytes == 0) {
      return zeroed ? api().calloc(1, size_bytes) : api().malloc(size_bytes);
    }
    if (!std::has_single_bit(alignment_bytes)) {
      throw py::value_error("alignment_bytes must be 0 or a power of two");
    }
    void* data = api().aligned_alloc(alignment_bytes, size_bytes);
    if (zeroed && data != nullptr) {
      std::memset(data, 0, size_bytes);
    }
    return data;
  }

  std::size_t size_bytes_;
  void* data_;
};

}  // namespace

void register_allocation(py::module_& module) {
  py::class_<Block>(module, "Block", "A block of hz3 as a writable buffer of bytes.",
                    py::is_final(), py::buffer_protocol())
      .def_buffer(&Block::buffer)
      .def_property_readonly("address", &Block::address, "Where the block starts.")
      .def_property_readonly("usable_bytes", &Block::usable_bytes,
                             "Bytes that the allocator really provides; at least len(block).")
      .def("__len__", &Block::size_bytes);
  module.def(
      "allocate",
      [](std::size_t size_bytes, std::size_t alignment_bytes, bool zeroed) {
        return std::make_unique<Block>(size_bytes, alignment_bytes, zeroed);
      },
      py::arg("size_bytes"), py::arg("alignment_bytes") = 0, py::arg("zeroed") = false,
      "Allocate a block; raises MemoryError if the allocator refuses.");
  module.def(
      "good_size", [](std::size_t size_bytes) { return api().good_size(size_bytes); },
      py::arg("size_bytes"), "Bytes that malloc(size_bytes) provides; 0 if it never can.");
  module.def(
      "owns",
      [](std::uintptr_t address) { return api().owns(reinterpret_cast<void*>(address)) != 0; },
      py::arg("address"), "True if a live block of the library starts at `address`.");
  module.def(
      "trim", [] { return api().trim(); },
      "Give everything idle back to the system; returns the number of bytes.");
}

}  // namespace hz3::bindings
