// Stands between the cold and the hot sources in the order of linking (CMakeLists.txt), so that the
// function here marks where the cold code ends. If it stood elsewhere, pages in use would be mapped
// once more, and no harm done.
#include "os/image.h"

#include <link.h>
#include <sys/mman.h>

#include <cstdint>

#include "base/bits.h"
#include "os/keep_errno.h"
#include "os/memory.h"

// By the linker: where the file begins.
[[gnu::visibility("hidden")]] extern const ElfW(Ehdr) __ehdr_start;  // NOLINT

namespace hz3::os {
namespace {

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;

  bool holds(std::uintptr_t address) const { return begin <= address && address < end; }
};

constexpr unsigned kMostRanges = 8;

std::uintptr_t image_base() { return reinterpret_cast<std::uintptr_t>(&__ehdr_start); }

const ElfW(Phdr) & header(unsigned index) {
  return reinterpret_cast<const ElfW(Phdr)*>(image_base() + __ehdr_start.e_phoff)[index];
}

// Of what one part of the file holds, the cold.
unsigned cold_ranges(const Range& part, std::uintptr_t hot_constants, std::uintptr_t unwinding,
                     Range* out) {
  const auto hot_code = reinterpret_cast<std::uintptr_t>(&drop_cold_image);
  unsigned count = 0;
  if (part.holds(hot_code)) {
    out[count++] = {part.begin, hot_code};
  } else if (part.holds(hot_constants)) {
    out[count++] = {part.begin, hot_constants};
    if (part.holds(unwinding)) out[count++] = {unwinding, part.end};
  } else {
    out[count++] = part;
  }
  return count;
}

}  // namespace

void drop_cold_image(const void* hot_constants) {
  const KeepErrno keep;
  std::uintptr_t unwinding = 0;
  for (unsigned i = 0; i < __ehdr_start.e_phnum; ++i) {
    if (header(i).p_type == PT_GNU_EH_FRAME) unwinding = image_base() + header(i).p_vaddr;
  }
  // All are found before the first goes: the headers lie in one of them.
  Range cold[kMostRanges + 1];
  unsigned count = 0;
  for (unsigned i = 0; i < __ehdr_start.e_phnum && count < kMostRanges; ++i) {
    const ElfW(Phdr)& part = header(i);
    // What the process may have written to is not in the file.
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = image_base() + part.p_vaddr;
    count += cold_ranges({begin, begin + part.p_memsz},
                         reinterpret_cast<std::uintptr_t>(hot_constants), unwinding, cold + count);
  }
  const std::size_t page = system_page_bytes();
  for (unsigned i = 0; i < count; ++i) {
    const std::uintptr_t begin = align_up(cold[i].begin, page);
    const std::uintptr_t end = align_down(cold[i].end, page);
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace hz3::os
