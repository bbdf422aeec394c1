// Rows for memalign, aligned_alloc, posix_memalign, valloc and pvalloc.
#include <unistd.h>

#include "api/table.hpp"

namespace hz3test {
namespace {

// Powers of two, odd ones, zero, and the ends of the range.
constexpr std::size_t kAlignments[] = {
    0,     1,     2,      3,      4,      5,       6,       7,       8,       9,
    12,    15,    16,     17,     24,     31,      32,      33,      40,      48,
    64,    96,    100,    128,    129,    192,     256,     512,     1000,    1024,
    2048,  3000,  4095,   4096,   4097,   6000,    8192,    12288,   16384,   32768,
    65535, 65536, 100000, 131072, 262144, 1048576, 2097152, 3000000, 4194304, 16777216};
constexpr std::size_t kWideAlignments[] = {std::size_t{1} << 25, std::size_t{1} << 27,
                                           std::size_t{1} << 30, std::size_t{1} << 33};
constexpr std::size_t kHugeAlignments[] = {(std::size_t{1} << 47),
                                           (std::size_t{1} << 48),
                                           (std::size_t{1} << 62),
                                           (std::size_t{1} << 62) + 1,
                                           (std::size_t{1} << 63) - 1,
                                           (std::size_t{1} << 63),
                                           (std::size_t{1} << 63) + 1,
                                           SIZE_MAX - 1,
                                           SIZE_MAX};
constexpr std::size_t kSizes[] = {
    0,    1,    7,     8,     15,    16,    17,    24,    31,     32,     33,    44,   48,
    63,   64,   65,    96,    100,   127,   128,   129,   200,    256,    257,   384,  500,
    512,  1000, 1024,  1025,  1536,  2000,  2048,  3000,  4000,   4095,   4096,  4097, 6144,
    8192, 9000, 12288, 16384, 20000, 32768, 40000, 65536, 100000, 262144, 300000};

bool is_power_of_two(std::size_t value) { return value != 0 && (value & (value - 1)) == 0; }

// What the caller may expect of the address: the alignment itself if that is a power of two.
std::size_t expected_alignment(std::size_t alignment, std::size_t size) {
  if (!is_power_of_two(alignment) || alignment < kMaxAlign) return natural_alignment(size);
  return alignment;
}

void memalign_row(std::size_t alignment, std::size_t size) {
  Table::begin("memalign(%#zx, %#zx)", alignment, size);
  errno = kErrnoMark;
  void* block = opaque(::memalign(opaque(alignment), opaque(size)));
  describe_block(block, size, expected_alignment(alignment, size), errno);
  free_row(block);
  Table::end();
}

void aligned_alloc_row(std::size_t alignment, std::size_t size) {
  Table::begin("aligned_alloc(%#zx, %#zx)", alignment, size);
  errno = kErrnoMark;
  void* block = heap::aligned_alloc(alignment, size);
  describe_block(block, size, expected_alignment(alignment, size), errno);
  free_row(block);
  Table::end();
}

// posix_memalign reports by its return value; errno and, on failure, the pointer stay untouched.
void posix_memalign_row(std::size_t alignment, std::size_t size) {
  Table::begin("posix_memalign(%#zx, %#zx)", alignment, size);
  char mark = 0;
  void* block = &mark;
  errno = kErrnoMark;
  const int code = opaque(::posix_memalign(&block, opaque(alignment), opaque(size)));
  const int error = errno;
  Table::add("code=%s untouched=%d ", errno_name(code), block == &mark);
  if (block == &mark) block = nullptr;
  describe_block(block, size, expected_alignment(alignment, size), error);
  free_row(block);
  Table::end();
}

void valloc_rows(std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Table::begin("valloc(%#zx)", size);
  errno = kErrnoMark;
  void* block = opaque(::valloc(opaque(size)));
  describe_block(block, size, page, errno);
  free_row(block);
  Table::end();

  Table::begin("pvalloc(%#zx)", size);
  errno = kErrnoMark;
  block = opaque(::pvalloc(opaque(size)));
  describe_block(block, (size + page - 1) / page * page, page, errno);
  free_row(block);
  Table::end();
}

// Many live blocks of one shape: each is aligned and none overlaps another.
void crowd_row(std::size_t alignment, std::size_t size) {
  constexpr std::size_t kBlocks = 64;
  void* blocks[kBlocks];
  bool good = true;
  Table::begin("memalign crowd(%#zx, %#zx)", alignment, size);
  for (std::size_t index = 0; index < kBlocks; ++index) {
    blocks[index] = opaque(::memalign(alignment, size));
    good = good && reinterpret_cast<std::uintptr_t>(blocks[index]) % alignment == 0;
    fill_pattern(blocks[index], size, index);
  }
  for (std::size_t index = 0; index < kBlocks; ++index) {
    good = good && has_pattern(blocks[index], size, index);
    heap::free(blocks[index]);
  }
  Table::add("good=%d", good);
  Table::end();
}

}  // namespace

void add_aligned_rows() {
  for (const std::size_t alignment : kAlignments) {
    for (const std::size_t size : kSizes) {
      memalign_row(alignment, size);
      aligned_alloc_row(alignment, size);
      posix_memalign_row(alignment, size);
    }
    for_each_absurd_size([alignment](std::size_t size) {
      memalign_row(alignment, size);
      aligned_alloc_row(alignment, size);
      posix_memalign_row(alignment, size);
    });
  }
  for (const std::size_t alignment : kWideAlignments) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5000},
                                   std::size_t{300000}, std::size_t{70000000}}) {
      memalign_row(alignment, size);
      aligned_alloc_row(alignment, size);
      posix_memalign_row(alignment, size);
    }
  }
  for (const std::size_t alignment : kHugeAlignments) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100}, SIZE_MAX}) {
      memalign_row(alignment, size);
      aligned_alloc_row(alignment, size);
      posix_memalign_row(alignment, size);
    }
  }
  for_each_size(300, valloc_rows);
  for (std::size_t alignment = 16; alignment <= 8192; alignment *= 2) {
    for (const std::size_t size : kSizes) {
      if (size != 0 && size <= 20000) crowd_row(alignment, size);
    }
  }
}

}  // namespace hz3test
