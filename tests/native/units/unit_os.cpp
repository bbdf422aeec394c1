// The system layer itself, where the kernel fails half way: moving pages unmaps the target first,
// so a failed move may leave a hole, which must be closed before anybody else can have it.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <initializer_list>

#include "os/memory.h"
#include "support/check.hpp"
#include "support/pattern.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kBytes = std::size_t{1} << 20;

enum class Moving { kWorks, kRefused, kLeavesHole, kHoleIsTaken };
Moving moving = Moving::kWorks;

// What lies in the range after a move that failed as `moving` says.
void fail_over(void* target, std::size_t bytes) {
  if (moving == Moving::kRefused) return;
  CHECK_EQ(::munmap(target, bytes), 0);
  if (moving != Moving::kHoleIsTaken) return;
  constexpr int kThere = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  CHECK(::mmap(target, 4096, PROT_READ, kThere, -1, 0) == target);
}

// A piece in the midst of a reservation, filled.
char* committed() {
  auto* region = static_cast<char*>(os::reserve(8 * kBytes, 2 * kBytes));
  CHECK(region != nullptr);
  CHECK(os::commit(region, 8 * kBytes));
  hz3test::fill_pattern(region, 4 * kBytes, 1);
  hz3test::fill_pattern(region + 4 * kBytes, kBytes, 1);
  return region + 4 * kBytes;
}

void expect_death_with(const char* words, void (*body)(char*)) {
  int ends[2];
  CHECK_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], 2);
    body(committed());
    ::_exit(0);
  }
  ::close(ends[1]);
  char said[600] = {};
  const ssize_t length = ::read(ends[0], said, sizeof said - 1);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGABRT);
  CHECKF(length > 0 && std::strcmp(said, words) == 0, "'%s'", said);
}

constexpr char kLost[] =
    "hz3: address space lost (the kernel unmapped a part of the heap and does not give it back) "
    "[E11]\n";

TEST(a_renewed_range_reads_as_zero_and_its_neighbours_stay) {
  for (const Moving now : {Moving::kWorks, Moving::kRefused, Moving::kLeavesHole}) {
    moving = now;
    char* range = committed();
    errno = EDOM;
    CHECK(os::renew(range, kBytes));
    CHECK_EQ(errno, EDOM);
    CHECK(hz3test::is_zeroed(range, kBytes));
    CHECK(hz3test::has_pattern(range - 4 * kBytes, 4 * kBytes, 1));
    hz3test::fill_pattern(range, kBytes, 2);
    CHECK(hz3test::has_pattern(range, kBytes, 2));
  }
}

TEST(moved_pages_arrive_or_stay) {
  for (const Moving now : {Moving::kWorks, Moving::kRefused, Moving::kLeavesHole}) {
    moving = now;
    char* from = committed() - 2 * kBytes;
    hz3test::fill_pattern(from, kBytes, 3);
    char* to = from + 4 * kBytes;
    const bool moved = os::move_pages(from, to, kBytes);
    if (now != Moving::kWorks) CHECK(!moved);
    CHECK(hz3test::has_pattern(moved ? to : from, kBytes, 3));
    if (moved) CHECK(hz3test::is_zeroed(from, kBytes));
    hz3test::fill_pattern(moved ? from : to, kBytes, 4);
    CHECK(hz3test::has_pattern(moved ? from : to, kBytes, 4));
  }
}

TEST(a_hole_that_somebody_else_has_is_the_end) {
  moving = Moving::kHoleIsTaken;
  expect_death_with(kLost, [](char* range) { os::renew(range, kBytes); });
  expect_death_with(kLost, [](char* range) { os::move_pages(range, range + kBytes, kBytes); });
}

}  // namespace

// Stands before libc's.
extern "C" void* mremap(void* from, std::size_t old_bytes, std::size_t new_bytes, int flags,
                        ...) noexcept {
  va_list rest;
  va_start(rest, flags);
  void* target = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  if (moving == Moving::kWorks) {
    return reinterpret_cast<void*>(
        ::syscall(SYS_mremap, from, old_bytes, new_bytes, flags, target));
  }
  fail_over(target, new_bytes);
  errno = ENOMEM;
  return MAP_FAILED;
}

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
