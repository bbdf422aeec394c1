// The reporting half of the interposed family: exported in full, so that a program never wakes up
// glibc's own heap by asking about it.
#include <malloc.h>

#include <cerrno>
#include <cstdio>

#include "base/bits.h"
#include "entry/allocate.h"
#include "entry/exports.h"
#include "entry/thread_state.h"
#include "observe/gauges.h"

namespace {

hz3_stats present_stats() {
  hz3_stats stats = {};
  if (hz3::ensure_booted()) hz3::read_stats(&stats);
  return stats;
}

int as_int(std::size_t value) {
  return static_cast<int>(hz3::min_of<std::size_t>(value, 0x7fffffff));
}

}  // namespace

HZ3_EXPORT struct mallinfo2 mallinfo2() noexcept {
  const hz3_stats stats = present_stats();
  struct mallinfo2 info = {};
  info.arena = stats.mapped_bytes - stats.large_bytes - stats.large_cached_bytes;
  info.ordblks = stats.spans;
  info.hblkhd = stats.large_bytes;
  info.usmblks = stats.peak_committed_bytes;
  // Large blocks count as hblkhd, as glibc's mapped ones do: monitors add the two.
  const std::uint64_t in_spans = stats.live_bytes - stats.large_bytes;
  info.uordblks = in_spans - hz3::min_of(stats.cached_bytes, in_spans);
  info.fordblks = info.arena - hz3::min_of<std::size_t>(info.uordblks, info.arena);
  info.keepcost = stats.dirty_free_bytes + stats.large_cached_bytes;
  return info;
}

namespace {

// The same in the older, narrower struct; what does not fit is the largest int.
struct mallinfo narrow_figures() {
  const struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {};
  info.arena = as_int(wide.arena);
  info.ordblks = as_int(wide.ordblks);
  info.hblkhd = as_int(wide.hblkhd);
  info.usmblks = as_int(wide.usmblks);
  info.uordblks = as_int(wide.uordblks);
  info.fordblks = as_int(wide.fordblks);
  info.keepcost = as_int(wide.keepcost);
  return info;
}

}  // namespace

HZ3_EXPORT struct mallinfo mallinfo() noexcept { return narrow_figures(); }

HZ3_EXPORT int malloc_trim(std::size_t) noexcept { return hz3::trim_everything() != 0 ? 1 : 0; }

// Settings of glibc have no meaning here; 1 says that the call was understood.
HZ3_EXPORT int mallopt(int, int) noexcept { return 1; }

// The other names that glibc has for two of them.
HZ3_EXPORT struct mallinfo __libc_mallinfo() noexcept { return narrow_figures(); }
HZ3_EXPORT int __libc_mallopt(int parameter, int value) noexcept {
  return mallopt(parameter, value);
}

HZ3_EXPORT int malloc_info(int options, FILE* stream) noexcept {
  if (options != 0) return EINVAL;
  const hz3_stats stats = present_stats();
  std::fprintf(stream, "<malloc version=\"hz3-%s\">\n", HZ3_VERSION);
  hz3_class_stats one = {};
  for (std::size_t i = 0; hz3::read_class_stats(i, &one); ++i) {
    if (one.spans == 0) continue;
    std::fprintf(stream, "<class size=\"%llu\" spans=\"%llu\" out=\"%llu\" free=\"%llu\"/>\n",
                 static_cast<unsigned long long>(one.block_bytes),
                 static_cast<unsigned long long>(one.spans),
                 static_cast<unsigned long long>(one.blocks_out),
                 static_cast<unsigned long long>(one.blocks_free));
  }
  std::fprintf(stream,
               "<system type=\"current\" size=\"%llu\"/>\n<system type=\"max\" size=\"%llu\"/>\n"
               "<live size=\"%llu\"/>\n<cached size=\"%llu\"/>\n</malloc>\n",
               static_cast<unsigned long long>(stats.committed_bytes),
               static_cast<unsigned long long>(stats.peak_committed_bytes),
               static_cast<unsigned long long>(stats.live_bytes),
               static_cast<unsigned long long>(stats.cached_bytes));
  return 0;
}

HZ3_EXPORT void malloc_stats() noexcept {
  const hz3_stats stats = present_stats();
  std::fprintf(stderr,
               "hz3 %s: live %llu, cached %llu, free pages %llu, large %llu, committed %llu bytes; "
               "threads %llu, shards %llu, segments %llu\n",
               HZ3_VERSION, static_cast<unsigned long long>(stats.live_bytes),
               static_cast<unsigned long long>(stats.cached_bytes),
               static_cast<unsigned long long>(stats.dirty_free_bytes),
               static_cast<unsigned long long>(stats.large_bytes),
               static_cast<unsigned long long>(stats.committed_bytes),
               static_cast<unsigned long long>(stats.threads),
               static_cast<unsigned long long>(stats.shards),
               static_cast<unsigned long long>(stats.segments));
}
