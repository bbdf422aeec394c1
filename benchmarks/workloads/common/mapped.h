// Memory for the bookkeeping of a workload (slot tables, rings, tallies). It comes straight from
// the system, never from malloc, so that the tested allocator sees the described workload and
// nothing else. A MappedArray is owned by one scope; who may touch its elements is up to the user.
#pragma once

#include <cstddef>
#include <type_traits>

namespace workload {

constexpr std::size_t kCacheLineBytes = 64;

// Zeroed pages for `bytes`; ends the program with one line when the system has none.
void* map_bytes(std::size_t bytes);
void unmap_bytes(void* start, std::size_t bytes);

// A fixed array of zero-filled elements. An all-zero element must be a valid T.
template <class T>
class MappedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit MappedArray(std::size_t count)
      : elements_(count == 0 ? nullptr : static_cast<T*>(map_bytes(count * sizeof(T)))),
        count_(count) {}
  ~MappedArray() {
    if (elements_ != nullptr) unmap_bytes(elements_, count_ * sizeof(T));
  }
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;

  T& operator[](std::size_t index) { return elements_[index]; }
  const T& operator[](std::size_t index) const { return elements_[index]; }
  T* begin() { return elements_; }
  T* end() { return elements_ + count_; }
  const T* begin() const { return elements_; }
  const T* end() const { return elements_ + count_; }
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  T* elements_;
  std::size_t count_;
};

}  // namespace workload
