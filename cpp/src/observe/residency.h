// Which pages of the arena are in memory, looked up once for a whole observation.
//
// Of one observer; no lock of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hz3 {

// Resident bytes of any mapped range; its ends are rounded to pages of the kernel, outwards. 0
// where the system does not know the range.
std::size_t resident_bytes(const void* address, std::size_t bytes);

// One bit for each page of the kernel in [base, base + bytes).
class ResidencyMap {
 public:
  static std::size_t words_for(std::size_t bytes);

  // `words` are zero, and at least words_for(bytes) of them.
  void look_up(std::uintptr_t base, std::size_t bytes, std::uint64_t* words);

  // Of a range inside; a page counts with that part of it that lies in the range.
  std::size_t resident_bytes(std::uintptr_t start, std::size_t bytes) const;

 private:
  std::uintptr_t base_ = 0;
  unsigned page_shift_ = 0;
  std::uint64_t* words_ = nullptr;
};

}  // namespace hz3
