// Rows for realloc and reallocarray: growth, shrinking, NULL, size 0, refusal, aligned blocks.
#include "api/table.hpp"

namespace hz3test {
namespace {

constexpr std::size_t kSizes[] = {
    0,      1,      8,      15,      16,      17,      24,      32,     33,     48,
    64,     65,     100,    128,     129,     255,     256,     257,    300,    512,
    513,    1000,   1024,   1025,    2048,    2049,    4000,    4096,   4097,   8192,
    8193,   16384,  20000,  32768,   32769,   65536,   65537,   131072, 131073, 200000,
    262144, 262145, 500000, 1048576, 1048577, 2097152, 4194305, 9000000};

// The old content up to the smaller of both sizes must be in the new block.
void describe_moved(void* block, std::size_t old_size, std::size_t new_size, int error) {
  if (block != nullptr) {
    const std::size_t common = old_size < new_size ? old_size : new_size;
    Table::add("content=%d ", find_difference(block, old_size, common, old_size) == kNoDifference);
  }
  describe_block(block, new_size, natural_alignment(new_size), error);
}

void realloc_row(std::size_t old_size, std::size_t new_size) {
  void* block = heap::malloc(old_size);
  fill_pattern(block, old_size, old_size);
  Table::begin("realloc(malloc(%#zx), %#zx)", old_size, new_size);
  errno = kErrnoMark;
  void* moved = heap::realloc(block, new_size);
  const int error = errno;
  describe_moved(moved, old_size, new_size, error);
  if (moved != nullptr) {
    free_row(moved);
  } else if (new_size != 0) {  // a refusal leaves the old block alone; size 0 has freed it
    Table::add(" old=%d", has_pattern(block, old_size, old_size));
    free_row(block);
  }
  Table::end();
}

void reallocarray_row(std::size_t old_size, std::size_t count, std::size_t size) {
  std::size_t total = 0;
  const bool overflow = __builtin_mul_overflow(count, size, &total);
  void* block = heap::malloc(old_size);
  fill_pattern(block, old_size, old_size);
  Table::begin("reallocarray(malloc(%#zx), %#zx, %#zx)", old_size, count, size);
  errno = kErrnoMark;
  void* moved = opaque(::reallocarray(opaque(block), opaque(count), opaque(size)));
  const int error = errno;
  describe_moved(moved, old_size, total, error);
  if (moved != nullptr) {
    free_row(moved);
  } else if (overflow || total != 0) {
    Table::add(" old=%d", has_pattern(block, old_size, old_size));
    free_row(block);
  }
  Table::end();
}

void null_row(std::size_t size) {
  Table::begin("realloc(NULL, %#zx)", size);
  errno = kErrnoMark;
  void* block = heap::realloc(nullptr, size);
  describe_block(block, size, natural_alignment(size), errno);
  free_row(block);
  Table::end();
}

void aligned_row(std::size_t alignment, std::size_t old_size, std::size_t new_size) {
  void* block = opaque(::memalign(alignment, old_size));
  fill_pattern(block, old_size, old_size);
  Table::begin("realloc(memalign(%#zx, %#zx), %#zx)", alignment, old_size, new_size);
  errno = kErrnoMark;
  void* moved = heap::realloc(block, new_size);
  describe_moved(moved, old_size, new_size, errno);
  free_row(moved);
  Table::end();
}

// Grows one block step by step: each step keeps all that was written before.
void growth_rows() {
  for (std::size_t step = 1; step <= 4096; step = step * 2 + step % 7) {
    Table::begin("realloc growth by %zu", step);
    void* block = nullptr;
    bool kept = true;
    std::size_t size = 0;
    for (int round = 0; round < 200; ++round) {
      void* moved = heap::realloc(block, size + step);
      if (moved == nullptr) break;
      kept = kept && has_pattern(moved, size, step);
      block = moved;
      size += step;
      fill_pattern(block, size, step);
    }
    Table::add("bytes=%zu kept=%d", size, kept);
    free_row(block);
    Table::end();
  }
}

}  // namespace

void add_realloc_rows() {
  for_each_size(300, null_row);
  for (const std::size_t old_size : kSizes) {
    for (const std::size_t new_size : kSizes) realloc_row(old_size, new_size);
  }
  for (std::size_t old_size = 0; old_size <= 200; old_size += 3) {
    for (std::size_t new_size = 0; new_size <= 200; new_size += 7) realloc_row(old_size, new_size);
  }
  for (const std::size_t old_size : {std::size_t{0}, std::size_t{40}, std::size_t{3000},
                                     std::size_t{70000}, std::size_t{3000000}}) {
    for_each_absurd_size([old_size](std::size_t size) {
      realloc_row(old_size, size);
      reallocarray_row(old_size, 1, size);
      reallocarray_row(old_size, size, 3);
      reallocarray_row(old_size, 16, size / 16 + 1);
    });
    for (std::size_t count = 0; count <= 40; ++count) {
      for (std::size_t size = 0; size <= 64; size += 8) reallocarray_row(old_size, count, size);
    }
    for (unsigned bit = 1; bit < 64; ++bit) {
      reallocarray_row(old_size, std::size_t{1} << bit, std::size_t{1} << (64 - bit));
      reallocarray_row(old_size, std::size_t{1} << bit, (std::size_t{1} << (64 - bit)) + 1);
    }
  }
  for (std::size_t alignment = 32; alignment <= 65536; alignment *= 8) {
    for (const std::size_t old_size : {std::size_t{1}, std::size_t{100}, std::size_t{5000},
                                       std::size_t{40000}, std::size_t{400000}}) {
      for (const std::size_t new_size : kSizes) {
        if (new_size != 0) aligned_row(alignment, old_size, new_size);
      }
    }
  }
  growth_rows();
}

}  // namespace hz3test
