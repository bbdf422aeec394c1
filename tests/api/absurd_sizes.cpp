// Millions of requests that nobody can serve: each must be refused with NULL and ENOMEM, quickly
// and without a trace. Sizes lie near PTRDIFF_MAX and SIZE_MAX, where sums with alignment, header
// or rounding wrap around.
#include <malloc.h>

#include <cerrno>

#include "support/check.hpp"
#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

using hz3test::opaque;

constexpr std::size_t kHalf = std::size_t{PTRDIFF_MAX};

void expect_refused(void* block, const char* function, std::size_t first, std::size_t second) {
  CHECKF(block == nullptr, "%s(%#zx, %#zx) gave a block", function, first, second);
  CHECKF(errno == ENOMEM, "%s(%#zx, %#zx): errno %d", function, first, second, errno);
  errno = 0;
}

// Every function once with one absurd size; returns the number of requests.
unsigned refuse_all(std::size_t size, std::size_t alignment, void* live) {
  using namespace hz3test;
  expect_refused(heap::malloc(size), "malloc", size, 0);
  expect_refused(heap::calloc(1, size), "calloc", 1, size);
  expect_refused(heap::calloc(size, 1), "calloc", size, 1);
  expect_refused(heap::calloc(size / 2 + 1, 3), "calloc", size / 2 + 1, 3);
  expect_refused(heap::realloc(nullptr, size), "realloc(NULL)", size, 0);
  expect_refused(heap::realloc(live, size), "realloc", size, 0);
  expect_refused(opaque(::reallocarray(opaque(live), 1, opaque(size))), "reallocarray", 1, size);
  expect_refused(opaque(::reallocarray(opaque(live), opaque(size), 2)), "reallocarray", size, 2);
  expect_refused(heap::aligned_alloc(alignment, size), "aligned_alloc", alignment, size);
  expect_refused(opaque(::memalign(alignment, opaque(size))), "memalign", alignment, size);
  expect_refused(opaque(::valloc(opaque(size))), "valloc", size, 0);
  expect_refused(opaque(::pvalloc(opaque(size))), "pvalloc", size, 0);
  void* untouched = live;
  const int code = ::posix_memalign(&untouched, alignment, opaque(size));
  CHECKF(code == ENOMEM && untouched == live, "posix_memalign(%#zx, %#zx): code %d", alignment,
         size, code);
  return 13;
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const std::uint64_t wanted = options.number("--requests", 3'000'000);
  hz3test::Random random(options.seed());
  void* live = hz3test::heap::malloc(100);
  std::memset(live, 0x5A, 100);
  errno = 0;
  const std::size_t before = hz3test::resident_bytes();
  std::uint64_t requests = 0;
  for (std::size_t step = 0; requests < wanted; ++step) {
    // Walk up to both ends first, then anywhere in the upper half.
    const std::size_t offset = step < 70000 ? step : random.below(kHalf);
    const std::size_t alignment = std::size_t{8} << random.below(24);
    requests += refuse_all(SIZE_MAX - offset, alignment, live);
    requests += refuse_all(kHalf + 1 + offset, alignment, live);
    // Below PTRDIFF_MAX the address space is the limit: the upper bits say it cannot be there.
    requests += refuse_all(kHalf - random.below(std::size_t{1} << 61), alignment, live);
  }
  for (std::size_t index = 0; index < 100; ++index) {
    CHECK(static_cast<unsigned char*>(live)[index] == 0x5A);
  }
  hz3test::heap::free(live);
  const std::size_t after = hz3test::resident_bytes();
  CHECKF(after < before + (std::size_t{1} << 20), "resident %zu -> %zu bytes", before, after);
  hz3test::say(1, "%llu requests refused\n", static_cast<unsigned long long>(requests));
  return 0;
}
