// When a fall of the memory in use counts as a collapse, and what regret does.
#include "arena/collapse.h"

#include <initializer_list>

#include "support/check.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kFloor = 100;
constexpr std::size_t kHigh = 1000;
constexpr std::size_t kLow = 100;
constexpr std::size_t kPercent = 25;
constexpr std::size_t kMi = std::size_t{1} << 20;
constexpr std::uint64_t kMs = 1'000'000;

// A program's use of memory over time, told to the collapse as policy does.
struct Program {
  explicit Program(std::size_t floor = kFloor) : collapse(floor) { collapse.note_rise(0, now_ns); }

  void rise(std::size_t used) { collapse.note_rise(used, now_ns); }
  bool fall(std::size_t used) { return collapse.note_fall(used, kPercent, now_ns); }
  void rest(std::uint64_t ms) { now_ns += ms * kMs; }
  // Up, up for a while, down: true when that was a collapse.
  bool phase(std::uint64_t ms, std::size_t high = kHigh, std::size_t low = kLow) {
    rise(high);
    rest(ms);
    return fall(low);
  }

  std::uint64_t now_ns = 3'600'000 * kMs;
  Collapse collapse;
};

TEST(a_fall_counts_after_a_tenth_of_a_second) {
  Program hasty;
  CHECK(!hasty.phase(0));
  CHECK(!hasty.phase(60));
  Program patient;
  CHECK(patient.phase(170));
}

// Half a second is enough whatever it costs; less only for what costs little beside the life so
// far.
TEST(a_dear_collapse_wants_patience) {
  constexpr std::size_t kMuch = 300 * kMi;
  Program young;
  CHECK(!young.phase(400, kMuch));
  Program patient;
  CHECK(patient.phase(600, kMuch));
  Program old;
  old.rest(12'000);
  CHECK(old.phase(170, kMuch));
}

TEST(a_dip_shortly_before_spoils_it) {
  Program program;
  program.rise(kHigh);
  program.rest(300);
  CHECK(!program.fall(kHigh / 2));
  CHECK(!program.collapse.note_fall(kLow, 0, program.now_ns));
  program.rise(kHigh);
  program.rest(40);
  CHECK(!program.fall(kLow));
  CHECK(program.phase(170));
}

TEST(a_small_peak_or_a_small_fall_is_none) {
  Program small(kHigh + 1);
  CHECK(!small.phase(1000));
  Program program;
  program.rise(kHigh);
  program.rest(1000);
  CHECK(!program.fall(kHigh * kPercent / 100));
  CHECK(program.fall(kHigh * kPercent / 100 - 1));
  CHECK(!program.collapse.note_fall(0, 0, program.now_ns));  // turned off
}

// The first step has to be a deep one, the others halve what is left.
TEST(one_fall_is_told_in_steps) {
  Program program;
  program.rise(kHigh * 4);
  program.rest(1000);
  CHECK(!program.fall(kHigh));
  CHECK(program.fall(800));
  CHECK(!program.fall(800));
  CHECK(!program.fall(400));
  CHECK(program.fall(390));
  CHECK(program.fall(kFloor));
  CHECK(program.fall(kFloor / 2 - 1));
  CHECK(!program.fall(0));  // what was left is below the floor
}

// Generations from a collapse that was regretted until one counts again.
int wait_after_regret(Program* program) {
  program->rise(kHigh);
  for (int generations = 0; generations < 1000; ++generations) {
    if (program->phase(1000)) return generations;
    program->collapse.end_generation(1);
  }
  return -1;
}

TEST(each_regret_in_a_row_doubles_the_wait) {
  Program program;
  CHECK(program.phase(1000));
  for (const int wait : {8, 16, 32, 64, 128, 256, 256}) {
    CHECK_EQ(wait_after_regret(&program), wait);
  }
}

TEST(a_collapse_without_regret_forgives) {
  Program program;
  CHECK(program.phase(1000));
  CHECK_EQ(wait_after_regret(&program), 8);
  program.rise(kHigh / 2 - 1);  // not back at half the peak
  for (int generation = 0; generation < 8; ++generation) program.collapse.end_generation(1);
  CHECK(program.phase(1000));
  CHECK_EQ(wait_after_regret(&program), 8);
}

TEST(a_rest_without_events_counts_in_full) {
  Program program;
  CHECK(program.phase(1000));
  program.rest(100'000);
  program.collapse.end_generation(100);
  CHECK(program.phase(1000));
  CHECK(!program.phase(0));
  program.rise(kHigh);
  program.collapse.end_generation(100);
  program.rest(100'000);  // told of nothing, the use was high all the time
  CHECK(program.fall(kLow));
}

TEST(a_late_return_is_no_regret) {
  Program program;
  CHECK(program.phase(1000));
  program.collapse.end_generation(8);
  CHECK(program.phase(1000));
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
