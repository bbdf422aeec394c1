// The whole allocator on a system that fails: for every k, the k-th call to the system is refused,
// once or from then on. The program gets blocks or NULL, never a crash; its blocks stay intact; and
// when the refusals end, service returns.
#include <cerrno>
#include <initializer_list>

#include "arena/arena.h"
#include "hz3/hz3.h"
#include "support/check.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "units/fake_os.hpp"

namespace {

using hz3test::fake_os;
using hz3test::OsCall;
using hz3test::Random;

constexpr int kSteps = 800;
constexpr std::size_t kHeld = 200;

struct Held {
  void* block;
  std::size_t size;
};
Held held[kHeld];

std::size_t draw_size(Random& random) {
  if (random.chance(3)) return random.between(300000, 3000000);
  if (random.chance(20)) return random.between(5000, 200000);
  return random.log_uniform(4000);
}

void check(const Held& slot) {
  CHECKF(hz3test::has_pattern(slot.block, slot.size, slot.size), "a block of %zu lost its content",
         slot.size);
}

void accept(Held& slot, void* block, std::size_t size) {
  slot = Held{block, block == nullptr ? 0 : size};
  if (block != nullptr) hz3test::fill_pattern(block, size, size);
}

void step(Random& random) {
  Held& slot = held[random.below(kHeld)];
  const std::size_t size = draw_size(random);
  fake_os.clock_ns += random.below(2'000'000);
  if (slot.block == nullptr) {
    const std::uint64_t dice = random.below(4);
    if (dice == 0) {
      void* block = hz3_calloc(1, size);
      CHECK(block == nullptr || hz3test::is_zeroed(block, size));
      accept(slot, block, size);
    } else if (dice == 1) {
      accept(slot, hz3_aligned_alloc(std::size_t{1} << random.between(4, 17), size), size);
    } else {
      accept(slot, hz3_malloc(size), size);
    }
    return;
  }
  check(slot);
  if (random.chance(30)) {
    void* moved = hz3_realloc(slot.block, size);
    if (moved == nullptr) {
      check(slot);
      return;
    }
    const std::size_t common = size < slot.size ? size : slot.size;
    CHECK_EQ(hz3test::find_difference(moved, slot.size, common, slot.size), hz3test::kNoDifference);
    accept(slot, moved, size);
    return;
  }
  hz3_free(slot.block);
  slot = Held{};
  if (random.below(100) == 0) hz3_trim();
}

// The workload under refusals; afterwards everything must be served again.
void run() {
  Random random(5);
  for (int round = 0; round < kSteps; ++round) step(random);
  fake_os.allow_all();
  for (std::size_t size = 1; size < 8'000'000; size = size * 3 + 1) {
    void* block = hz3_malloc(size);
    CHECKF(block != nullptr, "no service for %zu bytes after the refusals", size);
    hz3test::fill_pattern(block, size, size);
    CHECK(hz3test::has_pattern(block, size, size));
    hz3_free(block);
  }
  for (Held& slot : held) {
    if (slot.block == nullptr) continue;
    check(slot);
    hz3_free(slot.block);
  }
  hz3_trim();
}

std::uint64_t calls_without_refusals() {
  int pipe_ends[2];
  CHECK_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    run();
    const std::uint64_t calls = fake_os.all_calls;
    CHECK(::write(pipe_ends[1], &calls, sizeof calls) == sizeof calls);
    ::_exit(0);
  }
  std::uint64_t calls = 0;
  CHECK(::read(pipe_ends[0], &calls, sizeof calls) == sizeof calls);
  CHECK(::waitpid(child, nullptr, 0) == child);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  return calls;
}

// Runs the workload in a child, with refusals from call `from` on, `count` of them.
void run_refused(std::uint64_t from, std::uint64_t count, std::initializer_list<OsCall> kinds) {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    ::alarm(300);  // a busy machine may let it wait for minutes
    for (const OsCall kind : kinds) fake_os.refuse(kind);
    fake_os.fail_from = from;
    fake_os.fail_to = count == UINT64_MAX ? UINT64_MAX : from + count;
    run();
    ::_exit(0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECKF(status == 0, "calls from %llu on, %llu of them, refused: wait status %#x",
         static_cast<unsigned long long>(from), static_cast<unsigned long long>(count),
         static_cast<unsigned>(status));
}

void refuse_each(std::uint64_t count, std::initializer_list<OsCall> kinds) {
  const std::uint64_t calls = calls_without_refusals();
  CHECK(calls > 20);
  // Every call at the start, where the tables are made; later ones in growing steps.
  for (std::uint64_t from = 1; from <= calls; from += from < 60 ? 1 : 1 + from / 10) {
    run_refused(from, count, kinds);
  }
  hz3test::say(1, "%llu calls\n", static_cast<unsigned long long>(calls));
}

// What the first attempt to boot has reserved serves the second one.
TEST(a_boot_that_fails_half_way_loses_no_address_space) {
  std::uintptr_t base = 0;
  for (std::uint64_t call = 1; call <= 3; ++call) {
    const std::uint64_t before = fake_os.count(OsCall::kReserve);
    fake_os.refuse(OsCall::kReserve);
    // The first time the tables and the arena are there already.
    fake_os.fail_from = fake_os.all_calls + (call == 1 ? 3 : 1);
    CHECK(hz3_malloc(100) == nullptr);
    CHECK(fake_os.count(OsCall::kReserve) > before);
    fake_os.allow_all();
    CHECK(hz3::arena.bytes != 0);
    CHECK(base == 0 || hz3::arena.base == base);
    base = hz3::arena.base;
  }
  CHECK(hz3_malloc(100) != nullptr);
  CHECK_EQ(hz3::arena.base, base);
}

TEST(any_one_call_fails) {
  refuse_each(1, {OsCall::kReserve, OsCall::kMap, OsCall::kUnmap, OsCall::kCommit, OsCall::kPurge,
                  OsCall::kMovePages, OsCall::kRemap});
}

TEST(ten_calls_in_a_row_fail) {
  refuse_each(10, {OsCall::kReserve, OsCall::kMap, OsCall::kUnmap, OsCall::kCommit, OsCall::kPurge,
                   OsCall::kMovePages, OsCall::kRemap});
}

TEST(all_calls_for_memory_fail_from_then_on) {
  refuse_each(UINT64_MAX, {OsCall::kReserve, OsCall::kMap, OsCall::kCommit, OsCall::kRemap});
}

TEST(giving_back_fails_from_then_on) { refuse_each(UINT64_MAX, {OsCall::kUnmap, OsCall::kPurge}); }

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
