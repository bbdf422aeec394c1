// Asks the kernel for the state of pages, a few mebibytes at a time.
#include "observe/residency.h"

#include "base/bits.h"
#include "os/memory.h"

namespace hz3 {
namespace {

constexpr std::size_t kPagesAtOnce = 1024;

// Calls `visit` with the number of each resident page, counted from `start`.
template <class F>
void for_each_resident_page(std::uintptr_t start, std::size_t pages, F&& visit) {
  const std::size_t page_bytes = os::system_page_bytes();
  unsigned char states[kPagesAtOnce];
  for (std::size_t first = 0; first < pages; first += kPagesAtOnce) {
    const std::size_t count = min_of(pages - first, kPagesAtOnce);
    const auto* address = reinterpret_cast<const void*>(start + first * page_bytes);
    if (!os::look_up_residency(address, count * page_bytes, states)) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if ((states[i] & 1) != 0) visit(first + i);
    }
  }
}

}  // namespace

std::size_t resident_bytes(const void* address, std::size_t bytes) {
  if (bytes == 0) return 0;
  const std::size_t page_bytes = os::system_page_bytes();
  const auto given = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t start = align_down(given, page_bytes);
  const std::size_t pages = (align_up(given + bytes, page_bytes) - start) / page_bytes;
  std::size_t resident = 0;
  for_each_resident_page(start, pages, [&](std::size_t) { resident += page_bytes; });
  return resident;
}

std::size_t ResidencyMap::words_for(std::size_t bytes) {
  return (bytes / os::system_page_bytes() + 63) / 64;
}

void ResidencyMap::look_up(std::uintptr_t base, std::size_t bytes, std::uint64_t* words) {
  base_ = base;
  page_shift_ = log2_floor(os::system_page_bytes());
  words_ = words;
  for_each_resident_page(base, bytes >> page_shift_, [words](std::size_t page) {
    words[page / 64] |= std::uint64_t{1} << (page % 64);
  });
}

std::size_t ResidencyMap::resident_bytes(std::uintptr_t start, std::size_t bytes) const {
  const std::uintptr_t first = start - base_;
  const std::uintptr_t end = first + bytes;
  std::size_t resident = 0;
  for (std::uintptr_t at = first; at < end;) {
    const std::size_t page = at >> page_shift_;
    const std::uintptr_t next = min_of((std::uintptr_t{page} + 1) << page_shift_, end);
    if (((words_[page / 64] >> (page % 64)) & 1) != 0) resident += next - at;
    at = next;
  }
  return resident;
}

}  // namespace hz3
