// Size classes, codes and arithmetic: exhaustive over their whole domain.
#include "geometry/size_classes.h"
#include "support/check.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kBeyond = 300000;  // past the last class

TEST(class_of_size_is_the_smallest_that_holds) {
  for (std::size_t size = 1; size <= kMaxClassBytes; ++size) {
    const unsigned index = class_of_size(size);
    CHECK(index < kClassCount);
    CHECKF(kClasses[index].block_bytes >= size, "size %zu", size);
    CHECKF(index == 0 || kClasses[index - 1].block_bytes < size, "size %zu", size);
  }
}

TEST(blocks_are_aligned_for_whatever_fits_into_them) {
  for (unsigned index = 0; index < kClassCount; ++index) {
    const std::size_t block_bytes = kClasses[index].block_bytes;
    CHECK(block_bytes % kBlockAlignment == 0 || block_bytes < kBlockAlignment);
  }
  CHECK_EQ(class_of_aligned(1, kBlockAlignment), class_of_size(kBlockAlignment));
}

TEST(waste_is_bounded) {
  CHECK_EQ(std::size_t{kClasses[class_of_size(1)].block_bytes}, std::size_t{8});
  CHECK_EQ(std::size_t{kClasses[class_of_size(9)].block_bytes}, std::size_t{16});
  for (std::size_t size = 257; size <= kMaxClassBytes; ++size) {
    const std::size_t waste = kClasses[class_of_size(size)].block_bytes - size;
    CHECKF(waste * (size <= 8192 ? 8 : 4) < size, "size %zu wastes %zu", size, waste);
  }
}

TEST(classes_rise_in_steps_of_the_smallest_block) {
  for (unsigned index = 0; index < kClassCount; ++index) {
    const SizeClass& shape = kClasses[index];
    CHECK_EQ(shape.block_bytes % kMinBlockBytes, std::size_t{0});
    CHECK(index == 0 || shape.block_bytes > kClasses[index - 1].block_bytes);
    CHECK(shape.blocks >= 1 && shape.blocks <= kMaxBlocksPerSpan);
    CHECK(shape.pages >= 1 && shape.pages <= kMaxPagesPerSpan);
    const std::size_t span_bytes = std::size_t{shape.pages} << kPageShift;
    CHECK(shape.blocks * std::size_t{shape.block_bytes} <= span_bytes);
    CHECK(span_bytes - shape.blocks * std::size_t{shape.block_bytes} < shape.block_bytes);
  }
}

TEST(powers_of_two_are_naturally_aligned) {
  for (std::size_t size = kMinBlockBytes; size <= kMaxClassBytes; size *= 2) {
    const SizeClass& shape = kClasses[class_of_size(size)];
    CHECK_EQ(std::size_t{shape.block_bytes}, size);
    const std::size_t span_alignment = std::size_t{shape.alignment_pages} << kPageShift;
    CHECK(span_alignment % size == 0 || size <= kPageBytes);
  }
}

// floor(offset * reciprocal / 2^32) must find the block's index for each of its starts, and the
// test "index * size == offset" must reject every other offset inside a span.
TEST(reciprocals_are_exact) {
  for (const SizeClass& shape : kClasses) {
    const std::size_t span_bytes = std::size_t{shape.pages} << kPageShift;
    for (std::size_t offset = 0; offset < span_bytes; ++offset) {
      const std::uint64_t index = (offset * std::uint64_t{shape.reciprocal}) >> 32;
      const bool claimed = index * shape.block_bytes == offset;
      CHECKF(claimed == (offset % shape.block_bytes == 0), "offset %zu of %u", offset,
             shape.block_bytes);
      if (claimed) CHECK_EQ(index, std::uint64_t{offset / shape.block_bytes});
    }
  }
}

TEST(aligned_classes_hold_and_align) {
  for (std::size_t alignment = 1; alignment <= 2 * kMaxClassBytes; alignment *= 2) {
    for (std::size_t size = 1; size <= kBeyond; size += size < 2000 ? 1 : 61) {
      const unsigned index = class_of_aligned(size, alignment);
      if (size > kMaxClassBytes || alignment > kMaxClassBytes) {
        CHECK_EQ(index, kClassCount);
        continue;
      }
      if (index == kClassCount) continue;
      const SizeClass& shape = kClasses[index];
      CHECK(shape.block_bytes >= size);
      CHECKF(shape.block_bytes % alignment == 0, "size %zu at %zu", size, alignment);
      const std::size_t span_alignment = std::size_t{shape.alignment_pages} << kPageShift;
      CHECKF(span_alignment % alignment == 0, "span of %u at %zu", shape.block_bytes, alignment);
    }
  }
}

TEST(codes_name_their_class) {
  for (unsigned shard = 0; shard < kMaxShards; ++shard) {
    for (unsigned index = 0; index < kClassCount; ++index) {
      const Code code = code_of(index, shard);
      CHECK(code != kNoCode);
      CHECK_EQ(class_of_code(code), index);
      CHECK_EQ(is_tiny_code(code), index < kTinyClasses);
    }
  }
}

TEST(tiny_codes_differ_between_neighbouring_shards) {
  for (unsigned shard = 0; shard + 1 < kTinyShards; ++shard) {
    for (unsigned index = 0; index < kTinyClasses; ++index) {
      CHECK(code_of(index, shard) != code_of(index, shard + 1));
    }
  }
}

TEST(alignment_arithmetic) {
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    for (std::size_t value = 0; value < 10000; ++value) {
      CHECK_EQ(align_up(value, alignment), (value + alignment - 1) / alignment * alignment);
      CHECK_EQ(align_down(value, alignment), value / alignment * alignment);
    }
  }
  for (std::size_t value = 1; value < 100000; ++value) {
    CHECK(std::size_t{1} << log2_floor(value) <= value);
    CHECK(value >> log2_floor(value) == 1);
    CHECK_EQ(is_power_of_two(value), (value & (value - 1)) == 0);
  }
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
