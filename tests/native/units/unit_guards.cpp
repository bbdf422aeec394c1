// The checked build: what the allocator keeps beside the heap has inaccessible neighbours. Every
// table ends, and begins, at a page that nobody can touch. Links the checked build's objects.
#include <signal.h>
#include <sys/resource.h>

#include "arena/arena.h"
#include "arena/guarded.h"
#include "arena/ledger.h"
#include "arena/metadata.h"
#include "arena/segment.h"
#include "base/bits.h"
#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "large/large_heap.h"
#include "remote/magazine.h"
#include "support/check.hpp"

namespace {

using namespace hz3;

static_assert(kChecked && kGuardBytes != 0);

// How a child ends that writes to the byte; it keeps what stands there.
int status_after_writing(const void* where) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    auto* byte = const_cast<volatile char*>(static_cast<const char*>(where));
    *byte = *byte;
    ::_exit(0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  return status;
}

void expect_guard(const void* where, const char* what) {
  const int status = status_after_writing(where);
  CHECKF(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%s: no guard at %p", what, where);
}

void expect_guarded(const void* start, std::size_t bytes, const char* what) {
  const auto* first = static_cast<const char*>(start);
  CHECKF(status_after_writing(first) == 0, "%s: not accessible", what);
  CHECKF(status_after_writing(first + bytes - 1) == 0, "%s: not accessible", what);
  expect_guard(first - 1, what);
  expect_guard(first - kGuardBytes, what);
  expect_guard(first + bytes, what);
  expect_guard(first + bytes + kGuardBytes - 1, what);
}

std::size_t table_bytes(std::size_t bytes) { return align_up(bytes, kChunkBytes); }

void boot() { CHECK(hz3_malloc(100) != nullptr); }

TEST(the_tables_of_the_arena_are_apart) {
  boot();
  const std::size_t pages = arena.bytes >> kPageShift;
  expect_guarded(arena.tags(), table_bytes(pages * sizeof(Tag)), "page tags");
  expect_guarded(arena.spans, table_bytes(pages * sizeof(Span*)), "span table");
  expect_guarded(arena.segments, table_bytes(arena.segment_count() * sizeof(Segment)),
                 "segment table");
}

TEST(a_thread_cache_ends_at_a_guard) {
  boot();
  const auto* cache = reinterpret_cast<const char*>(static_cast<ThreadCache*>(current_cache));
  CHECK_EQ(status_after_writing(cache + sizeof(ThreadCache) - 1), 0);
  expect_guard(cache + align_up(sizeof(ThreadCache), kCacheLineBytes), "thread cache");
}

TEST(every_mapping_of_metadata_has_guards) {
  boot();
  static unsigned seen = 0;
  const LockGuard guard(metadata_lock());
  visit_metadata(
      [](void*, const void* address, std::size_t bytes) {
        ++seen;
        expect_guarded(address, bytes, "metadata");
      },
      nullptr);
  CHECK(seen >= 2);
}

TEST(magazines_and_ledger_begin_and_end_at_guards) {
  boot();
  CHECK(acquire_magazine(0) != nullptr);
  expect_guard(reinterpret_cast<const char*>(magazine_at(0)) - 1, "magazines");
  std::size_t bytes = 0;
  const auto* entries = static_cast<const char*>(ledger.memory(arena.segment_count(), &bytes));
  expect_guard(entries - 1, "ledger");
  expect_guard(entries + bytes, "ledger");
}

TEST(the_tables_of_large_blocks_are_apart) {
  boot();
  std::size_t bytes = 0;
  large_heap.region(&bytes);
  const std::size_t starts = table_bytes((bytes >> kChunkShift) * sizeof(Range*));
  expect_guarded(large_heap.table(), starts, "starts of large blocks");
  const char* huge = static_cast<const char*>(large_heap.table()) + starts + kGuardBytes;
  const std::size_t huge_bytes = table_bytes(bytes >> kSegmentShift);
  expect_guarded(huge, huge_bytes, "huge pages of large blocks");
  expect_guarded(huge + huge_bytes + kGuardBytes, table_bytes(bytes >> kChunkShift),
                 "seams of large blocks");
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
