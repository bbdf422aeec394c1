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

// One part of the file: what lies before and after the hot is cold.
struct Part {
  Range all;
  Range hot;
};

constexpr unsigned kMostParts = 8;
constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14

std::uintptr_t image_base() { return reinterpret_cast<std::uintptr_t>(&__ehdr_start); }

const ElfW(Phdr) & header(unsigned index) {
  return reinterpret_cast<const ElfW(Phdr)*>(image_base() + __ehdr_start.e_phoff)[index];
}

Range hot_of(const Range& part, std::uintptr_t hot_constants, std::uintptr_t unwinding) {
  const auto hot_code = reinterpret_cast<std::uintptr_t>(&drop_cold_image);
  if (part.holds(hot_code)) return {hot_code, part.end};
  if (part.holds(hot_constants)) {
    return {hot_constants, part.holds(unwinding) ? unwinding : part.end};
  }
  return {part.end, part.end};
}

void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

void drop_cold_image(const void* hot_constants) {
  const KeepErrno keep;
  std::uintptr_t unwinding = 0;
  for (unsigned i = 0; i < __ehdr_start.e_phnum; ++i) {
    if (header(i).p_type == PT_GNU_EH_FRAME) unwinding = image_base() + header(i).p_vaddr;
  }
  // All are found before the first goes: the headers lie in one of them.
  Part parts[kMostParts];
  unsigned count = 0;
  for (unsigned i = 0; i < __ehdr_start.e_phnum && count < kMostParts; ++i) {
    const ElfW(Phdr)& segment = header(i);
    // What the process may have written to is not in the file.
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = image_base() + segment.p_vaddr;
    const Range all = {begin, begin + segment.p_memsz};
    parts[count++] = {all, hot_of(all, reinterpret_cast<std::uintptr_t>(hot_constants), unwinding)};
  }
  const std::size_t page = system_page_bytes();
  // A hot page that is touched for the first time only later brings the cold ones around it back.
  for (unsigned i = 0; i < count; ++i) {
    const Range& hot = parts[i].hot;
    advise(align_down(hot.begin, page), align_up(hot.end, page), kPopulateRead);
  }
  // A page with both in it stays.
  for (unsigned i = 0; i < count; ++i) {
    const auto& [all, hot] = parts[i];
    advise(align_up(all.begin, page), align_down(hot.begin, page), MADV_DONTNEED);
    advise(align_up(hot.end, page), align_down(all.end, page), MADV_DONTNEED);
  }
}

}  // namespace hz3::os
