// Rows for malloc, calloc, free and malloc_usable_size.
#include "api/table.hpp"

namespace hz3test {
namespace {

void malloc_row(std::size_t size) {
  Table::begin("malloc(%#zx)", size);
  errno = kErrnoMark;
  void* block = heap::malloc(size);
  describe_block(block, size, natural_alignment(size), errno);
  free_row(block);
  Table::end();
}

// Two live blocks of the same size must be different blocks, also for size 0.
void pair_row(std::size_t size) {
  Table::begin("malloc pair(%#zx)", size);
  void* first = heap::malloc(size);
  void* second = heap::malloc(size);
  Table::add("different=%d", first != second);
  free_row(first);
  free_row(second);
  Table::end();
}

// Leaves dirty memory behind, so that a calloc which forgets to clear is seen.
void leave_dirt(std::size_t size) {
  if (size > (std::size_t{2} << 20)) return;
  void* block = heap::malloc(size);
  if (block != nullptr) std::memset(block, 0xA5, size);
  heap::free(block);
}

void calloc_row(std::size_t count, std::size_t size) {
  std::size_t total = 0;
  const bool overflow = __builtin_mul_overflow(count, size, &total);
  if (!overflow) leave_dirt(total);
  Table::begin("calloc(%#zx, %#zx)", count, size);
  errno = kErrnoMark;
  void* block = heap::calloc(count, size);
  const int error = errno;
  if (block != nullptr) Table::add("zeroed=%d ", !overflow && is_zeroed(block, total));
  describe_block(block, total, natural_alignment(total), error);
  free_row(block);
  Table::end();
}

void calloc_rows() {
  constexpr std::size_t kFactors[] = {0,
                                      1,
                                      2,
                                      3,
                                      7,
                                      8,
                                      16,
                                      17,
                                      24,
                                      33,
                                      63,
                                      64,
                                      100,
                                      127,
                                      255,
                                      256,
                                      511,
                                      1000,
                                      1023,
                                      1024,
                                      4095,
                                      4096,
                                      5000,
                                      8191,
                                      8192,
                                      16384,
                                      32767,
                                      32768,
                                      32769,
                                      65536,
                                      std::size_t{1} << 17};
  for (const std::size_t count : kFactors) {
    for (const std::size_t size : kFactors) {
      if (count * size <= (std::size_t{4} << 20)) calloc_row(count, size);
    }
  }
  // Products that wrap around to a small number must be refused all the same.
  for (unsigned bit = 1; bit < 64; ++bit) {
    const std::size_t high = std::size_t{1} << bit;
    const std::size_t low = std::size_t{1} << (64 - bit);
    for (std::size_t step = 0; step < 3; ++step) {
      calloc_row(high, low + step);
      calloc_row(high + step, low);
      calloc_row(SIZE_MAX / high + 1, high + step);
    }
  }
  for_each_absurd_size([](std::size_t size) {
    calloc_row(1, size);
    calloc_row(size, 1);
    calloc_row(size, 2);
    calloc_row(size / 3, 3);
    calloc_row(size, size);
    calloc_row(0, size);
    calloc_row(size, 0);
  });
}

// calloc of a block that was used, dirtied and freed just before, at every small size.
void reused_calloc_rows() {
  for (std::size_t size = 1; size <= 2100; ++size) {
    leave_dirt(size);
    Table::begin("calloc reused(%zu)", size);
    void* block = heap::calloc(1, size);
    Table::add("zeroed=%d", is_zeroed(block, size));
    free_row(block);
    Table::end();
  }
}

void usable_size_rows() {
  Table::begin("malloc_usable_size(NULL)");
  Table::add("%zu", heap::usable_size(nullptr));
  Table::end();
  for (std::size_t size = 0; size <= 1100; ++size) {
    Table::begin("malloc_usable_size(malloc(%zu))", size);
    void* block = heap::malloc(size);
    const std::size_t first = heap::usable_size(block);
    Table::add("covers=%d stable=%d", first >= size, heap::usable_size(block) == first);
    free_row(block);
    Table::end();
  }
}

}  // namespace

void add_c_rows() {
  for_each_size(2100, malloc_row);
  for (std::size_t size = 0; size <= 300; ++size) pair_row(size);
  calloc_rows();
  reused_calloc_rows();
  usable_size_rows();
  Table::begin("free(NULL)");
  free_row(nullptr);
  Table::end();
}

}  // namespace hz3test
