// Which pages are in memory. System calls: open, close, ioctl (PAGEMAP_SCAN), mincore.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/keep_errno.h"
#include "os/memory.h"

namespace hz3::os {
namespace {

// The request of Linux 6.7, which headers older than that lack; see its pagemap documentation.
struct ScannedRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};
struct ScanRequest {
  std::uint64_t size;
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;
  std::uint64_t regions;
  std::uint64_t regions_length;
  std::uint64_t max_pages;
  std::uint64_t inverted;  // of `required`: those that must not be set
  std::uint64_t required;
  std::uint64_t any_of;
  std::uint64_t wanted;
};
constexpr std::uint64_t kPresent = 1 << 3;
constexpr std::uint64_t kZeroPage = 1 << 5;  // what reading an untouched page maps
constexpr unsigned long kScan = _IOWR('f', 16, ScanRequest);
constexpr unsigned kRegions = 64;

bool scan(int pagemap, std::uintptr_t start, std::uintptr_t end, unsigned char* pages) {
  const std::size_t page_bytes = system_page_bytes();
  ScannedRegion regions[kRegions];
  for (std::uintptr_t at = start; at < end;) {
    ScanRequest request = {};
    request.size = sizeof request;
    request.start = at;
    request.end = end;
    request.regions = reinterpret_cast<std::uintptr_t>(regions);
    request.regions_length = kRegions;
    request.inverted = kZeroPage;
    request.required = kPresent | kZeroPage;
    request.wanted = kPresent;
    const int found = ::ioctl(pagemap, kScan, &request);
    if (found < 0 || request.walk_end <= at) return false;
    for (int i = 0; i < found; ++i) {
      for (std::uintptr_t page = regions[i].start; page < regions[i].end; page += page_bytes) {
        pages[(page - start) / page_bytes] = 1;
      }
    }
    at = request.walk_end;
  }
  return true;
}

}  // namespace

bool look_up_residency(const void* address, std::size_t bytes, unsigned char* pages) {
  const KeepErrno keep;
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap >= 0) {
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    __builtin_memset(pages, 0, bytes / system_page_bytes());
    const bool scanned = scan(pagemap, start, start + bytes, pages);
    ::close(pagemap);
    if (scanned) return true;
  }
  return ::mincore(const_cast<void*>(address), bytes, pages) == 0;
}

}  // namespace hz3::os
