// What the reporting functions of the malloc family say about a heap whose content is known.
//
//   reports info     malloc_info as XML on stdout
//   reports stats    malloc_stats, which writes to stderr
//   reports numbers  checks mallinfo2 and mallinfo against known allocations
//   reports trim     checks that malloc_trim lowers the resident memory
#include <malloc.h>

#include <cstdio>
#include <string_view>

#include "support/heap.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kSmallBlocks = 200000;
constexpr std::size_t kSmallBytes = 200;

struct Load {
  void** small = hz3test::map_zeroed<void*>(kSmallBlocks);
  void* large[8] = {};

  void allocate() {
    for (std::size_t index = 0; index < kSmallBlocks; ++index) {
      small[index] = heap::malloc(kSmallBytes);
      std::memset(small[index], 1, kSmallBytes);
    }
    for (void*& block : large) {
      block = heap::malloc(4 * kMiB);
      std::memset(block, 1, 4 * kMiB);
    }
  }
  void release() {
    for (std::size_t index = 0; index < kSmallBlocks; ++index) heap::free(small[index]);
    for (void* block : large) heap::free(block);
  }
};

constexpr std::size_t kLoadBytes = kSmallBlocks * kSmallBytes + 8 * 4 * kMiB;

void check_numbers() {
  Load load;
  const struct mallinfo2 before = ::mallinfo2();
  load.allocate();
  const struct mallinfo2 during = ::mallinfo2();
  const std::size_t used = during.uordblks + during.hblkhd;
  const std::size_t used_before = before.uordblks + before.hblkhd;
  hz3test::say(1, "in use: %zu -> %zu bytes\n", used_before, used);
  CHECK(used >= used_before + kLoadBytes);
  CHECK(used <= used_before + kLoadBytes / 4 * 5);
  CHECK(during.arena + during.hblkhd >= during.uordblks);
  // The old form counts in int; below 2 GiB it says the same.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const struct mallinfo old = ::mallinfo();
#pragma GCC diagnostic pop
  CHECK(static_cast<std::size_t>(old.uordblks) + kMiB >= during.uordblks);
  load.release();
  const struct mallinfo2 after = ::mallinfo2();
  CHECK(after.uordblks + after.hblkhd <= used_before + kLoadBytes / 4);
}

void check_trim() {
  Load load;
  load.allocate();
  load.release();
  const std::size_t before = hz3test::resident_bytes();
  const int trimmed = ::malloc_trim(0);
  const std::size_t after = hz3test::resident_bytes();
  hz3test::say(1, "resident %zu -> %zu KiB, malloc_trim said %d\n", before >> 10, after >> 10,
               trimmed);
  CHECK(after <= 12 * kMiB);
  CHECK(before - after < kMiB || trimmed == 1);
  CHECK_EQ(::malloc_trim(0) & ~1, 0);
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const std::string_view what = argv[1];
  Load load;
  if (what == "info") {
    load.allocate();
    CHECK_EQ(::malloc_info(0, stdout), 0);
    std::fflush(stdout);
    CHECK(::malloc_info(1, stdout) != 0);  // no options are defined
  }
  if (what == "stats") {
    load.allocate();
    ::malloc_stats();
  }
  if (what == "numbers") check_numbers();
  if (what == "trim") check_trim();
  return 0;
}
