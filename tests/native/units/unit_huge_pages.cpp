// Which large blocks may have huge pages, on the real system: what /proc/self/smaps says of every
// 2 MiB part of the region.
#include <fcntl.h>
#include <unistd.h>

#include "large/large_heap.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kText = 4 * kMiB;

void set(const char* name, std::int64_t value) { CHECK_EQ(set_knob(name, value), HZ3_OK); }

void boot() {
  large_heap.boot(1024 * kMiB);
  set("huge_pages", 1);
}

std::uint64_t counter(Counter which) {
  std::uint64_t totals[kCounterCount] = {};
  large_heap.add_counters(totals, kCounterCount);
  return totals[static_cast<std::size_t>(which)];
}

char* filled(std::size_t size) {
  std::size_t stale = 0;
  void* block = large_heap.allocate(size, 16, &stale);
  CHECK(block != nullptr);
  hz3test::fill_pattern(block, size, size);
  return static_cast<char*>(block);
}

const char* smaps() {
  static char* text = hz3test::map_zeroed<char>(kText);
  const int file = ::open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  std::size_t length = 0;
  for (ssize_t got = 1; got > 0; length += static_cast<std::size_t>(got)) {
    got = ::read(file, text + length, kText - 1 - length);
    CHECK(got >= 0);
  }
  ::close(file);
  CHECK(length != 0 && length < kText - 1);
  text[length] = '\0';
  return text;
}

// Bytes of [from, from + bytes) where the kernel may use huge pages.
std::size_t huge_bytes(const void* from, std::size_t bytes) {
  const auto first = reinterpret_cast<std::uintptr_t>(from);
  std::size_t huge = 0;
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;
  for (const char* line = smaps(); *line != '\0'; line = std::strchr(line, '\n') + 1) {
    char* rest = nullptr;
    const std::uintptr_t number = std::strtoull(line, &rest, 16);
    if (rest != line && *rest == '-') {
      start = number;
      end = std::strtoull(rest + 1, nullptr, 16);
    }
    if (std::strncmp(line, "VmFlags:", 8) != 0) continue;
    const char* flag = std::strstr(line, " hg");
    if (flag == nullptr || flag > std::strchr(line, '\n')) continue;
    const std::uintptr_t low = start > first ? start : first;
    const std::uintptr_t high = end < first + bytes ? end : first + bytes;
    if (low < high) huge += high - low;
  }
  return huge;
}

std::size_t huge_bytes_of_region() {
  std::size_t bytes = 0;
  const void* region = large_heap.region(&bytes);
  return huge_bytes(region, bytes);
}

// The whole 2 MiB parts of a block.
std::size_t whole_parts(const char* block, std::size_t bytes) {
  const auto start = reinterpret_cast<std::uintptr_t>(block);
  const std::uintptr_t first = (start + 2 * kMiB - 1) / (2 * kMiB);
  return ((start + bytes) / (2 * kMiB) - first) * 2 * kMiB;
}

TEST(a_block_that_was_freed_and_given_back_keeps_no_huge_pages) {
  boot();
  char* block = filled(32 * kMiB);
  CHECK_EQ(huge_bytes(block, 32 * kMiB), 32 * kMiB);
  CHECK(large_heap.release(block));
  large_heap.purge_all();
  CHECK_EQ(huge_bytes_of_region(), std::size_t{0});
}

// A part of a huge page that another block has is no reason to keep it.
TEST(nor_does_one_that_is_given_back_piece_by_piece) {
  boot();
  char* block = filled(32 * kMiB);
  CHECK(large_heap.release(block));
  void* pieces[11];
  for (void*& piece : pieces) piece = filled(3 * kMiB);
  CHECK_EQ(counter(Counter::kLargeCacheHit), std::uint64_t{10});
  set("large_madvise", 1);
  for (void* piece : pieces) CHECK(large_heap.release(piece));
  large_heap.purge_all();
  CHECK_EQ(huge_bytes_of_region(), std::size_t{0});
}

TEST(a_block_that_moves_leaves_no_huge_pages_behind) {
  boot();
  for (const std::size_t size : {4 * kMiB, 5 * kMiB, 13 * kMiB, 32 * kMiB}) {
    const std::uint64_t moved = counter(Counter::kLargeMoved);
    char* block = filled(size);
    const std::size_t bytes = large_heap.usable_size(block);
    while (filled(kMiB) != block + bytes) {  // until one is in the way
    }
    auto* now = static_cast<char*>(large_heap.resize(block, 3 * size));
    CHECKF(now != nullptr && now != block, "%zu MiB did not move", size / kMiB);
    CHECK_EQ(counter(Counter::kLargeMoved), moved + 1);
    CHECK_EQ(hz3test::find_difference(now, size, size, size), hz3test::kNoDifference);
    CHECK_EQ(huge_bytes(block, bytes), std::size_t{0});
    const std::size_t whole = large_heap.usable_size(now);
    CHECK_EQ(huge_bytes(now, whole), whole_parts(now, whole));
    CHECK(large_heap.release(now));
    large_heap.purge_all();
    CHECK_EQ(huge_bytes_of_region(), std::size_t{0});
  }
}

TEST(a_block_that_grows_in_place_has_them_everywhere) {
  boot();
  char* block = filled(kMiB);
  CHECK(large_heap.resize(block, 32 * kMiB) == block);
  CHECK_EQ(huge_bytes(block, 32 * kMiB), whole_parts(block, 32 * kMiB));
}

// Stitching takes pages of blocks that had huge pages for one that shall have none.
TEST(a_stitched_block_has_none) {
  boot();
  char* blocks[3];
  for (char*& block : blocks) {
    block = filled(5 * kMiB);
    filled(kMiB);
  }
  for (char* block : blocks) CHECK(large_heap.release(block));
  // What is longer than the knob's 4 MiB is not stitched while the knob is on.
  set("huge_pages", 0);
  char* block = filled(13 * kMiB);
  CHECK_EQ(counter(Counter::kLargeStitched), std::uint64_t{1});
  CHECK_EQ(huge_bytes(block, 13 * kMiB), std::size_t{0});
  CHECK(large_heap.release(block));
  large_heap.purge_all();
  CHECK_EQ(huge_bytes_of_region(), std::size_t{0});
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
