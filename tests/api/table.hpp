// Rows of the API table: one line per call, `call -> outcome`, on stdout.
//
// Only outcomes that a caller may rely on are printed (NULL or not, errno, alignment, zeroing,
// "usable size covers the request", return codes), never addresses or sizes that an allocator is
// free to choose. So the table of two allocators can be compared as text.
#ifndef HZ3_TESTS_API_TABLE_HPP
#define HZ3_TESTS_API_TABLE_HPP

#include <malloc.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "support/check.hpp"
#include "support/heap.hpp"
#include "support/pattern.hpp"

namespace hz3test {

// errno before each call: a value no allocation function sets.
inline constexpr int kErrnoMark = 111;
inline constexpr std::size_t kFilledBytes = std::size_t{256} << 10;

// Collects rows in memory of its own and writes them in large pieces.
class Table {
 public:
  static void begin(const char* format, ...) __attribute__((format(printf, 1, 2)));
  static void add(const char* format, ...) __attribute__((format(printf, 1, 2)));
  static void end();
  static void flush();
  static std::size_t row_count();
};

inline const char* errno_name(int value) {
  switch (value) {
    case kErrnoMark:
      return "kept";
    case 0:
      return "0";
    case ENOMEM:
      return "ENOMEM";
    case EINVAL:
      return "EINVAL";
    case EOVERFLOW:
      return "EOVERFLOW";
    default:
      return "other";
  }
}

// Prints what came back for a request of `size` bytes at `alignment`: NULL and errno, or the
// promises that the block keeps. Writes to what the block claims to have, the slack included; of a
// very large block only to both ends, so that the table does not become a test of page faults.
inline void describe_block(void* block, std::size_t size, std::size_t alignment, int error) {
  if (block == nullptr) {
    Table::add("NULL %s", errno_name(error));
    return;
  }
  const std::size_t usable = ::malloc_usable_size(block);
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  Table::add("block %s aligned=%d to16=%d usable=%d", errno_name(error), address % alignment == 0,
             address % kMaxAlign == 0, usable >= size);
  auto* tail = static_cast<char*>(block) + (usable > kFilledBytes ? usable - kEndBytes : 0);
  const std::size_t length = usable > kFilledBytes ? kEndBytes : usable;
  fill_pattern(block, length, size);
  fill_pattern(tail, length, usable);
  Table::add(" holds=%d", has_pattern(tail, length, usable));
}

// Frees `block` and adds what free did to errno.
inline void free_row(void* block) {
  errno = kErrnoMark;
  heap::free(block);
  Table::add(" free=%s", errno_name(errno));
}

void add_c_rows();
void add_realloc_rows();
void add_aligned_rows();
void add_operator_rows();
void add_libc_rows();

// Sizes that nobody can serve; visit(size) for each.
template <typename Visit>
inline void for_each_absurd_size(Visit visit) {
  constexpr std::size_t kHalf = std::size_t{PTRDIFF_MAX};
  constexpr std::size_t kSteps[] = {0,  1,  7,    8,    15,   16,    17,
                                    31, 32, 4095, 4096, 4097, 65536, 1U << 21};
  for (const std::size_t step : kSteps) {
    visit(SIZE_MAX - step);
    visit(kHalf - step);
    visit(kHalf + 1 + step);
    visit((std::size_t{1} << 62) + step);
    visit((std::size_t{1} << 48) + step);
  }
}

// Sizes around every boundary an allocator may have up to 64 MiB, and the absurd ones;
// visit(size) for each. Between these lies the range in which success depends on the machine.
template <typename Visit>
inline void for_each_size(std::size_t dense_limit, Visit visit) {
  for (std::size_t size = 0; size <= dense_limit; ++size) visit(size);
  for (unsigned bit = 4; bit <= 26; ++bit) {
    for (std::size_t quarter = 4; quarter < 8; ++quarter) {
      const std::size_t centre = (std::size_t{1} << bit) / 4 * quarter;
      if (centre <= dense_limit + 2) continue;
      for (std::size_t size = centre - 2; size <= centre + 2; ++size) visit(size);
    }
  }
  for_each_absurd_size(visit);
}

}  // namespace hz3test

#endif  // HZ3_TESTS_API_TABLE_HPP
