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

void hold(Collapse* collapse, std::size_t used, int generations) {
  for (int i = 0; i < generations; ++i) collapse->end_generation(used, 1);
}

// Up, up for long, down: true when that was a collapse.
bool phase(Collapse* collapse, int generations) {
  collapse->note_rise(kHigh);
  hold(collapse, kHigh, generations);
  return collapse->note_fall(kLow, kPercent);
}

TEST(a_fall_counts_after_a_whole_generation) {
  Collapse collapse(kFloor);
  CHECK(!phase(&collapse, 0));
  CHECK(!phase(&collapse, 1));  // the generation that ends began before the rise
  Collapse patient(kFloor);
  CHECK(phase(&patient, 2));
}

TEST(a_dip_within_the_generation_before_spoils_it) {
  Collapse collapse(kFloor);
  collapse.note_rise(kHigh);
  hold(&collapse, kHigh, 2);
  CHECK(!collapse.note_fall(kHigh / 2, kPercent));
  CHECK(!collapse.note_fall(kLow, 0));
  collapse.note_rise(kHigh);
  hold(&collapse, kHigh, 1);
  CHECK(!collapse.note_fall(kLow, kPercent));
  collapse.note_rise(kHigh);
  hold(&collapse, kHigh, 2);
  CHECK(collapse.note_fall(kLow, kPercent));
}

TEST(a_small_peak_or_a_small_fall_is_none) {
  Collapse small(kHigh + 1);
  CHECK(!phase(&small, 2));
  Collapse collapse(kFloor);
  collapse.note_rise(kHigh);
  hold(&collapse, kHigh, 2);
  CHECK(!collapse.note_fall(kHigh * kPercent / 100, kPercent));
  CHECK(collapse.note_fall(kHigh * kPercent / 100 - 1, kPercent));
  CHECK(!collapse.note_fall(0, 0));  // turned off
}

TEST(one_fall_is_told_in_steps) {
  Collapse collapse(kFloor);
  collapse.note_rise(kHigh);
  hold(&collapse, kHigh, 2);
  CHECK(collapse.note_fall(200, kPercent));
  CHECK(!collapse.note_fall(200, kPercent));
  CHECK(!collapse.note_fall(60, kPercent));
  CHECK(collapse.note_fall(40, kPercent));
  CHECK(!collapse.note_fall(40, kPercent));
}

// Generations from a collapse that was regretted until one counts again.
int wait_after_regret(Collapse* collapse) {
  collapse->note_rise(kHigh);
  for (int generations = 0; generations < 1000; ++generations) {
    if (phase(collapse, 2)) return 2 * (generations + 1);
  }
  return -1;
}

TEST(each_regret_in_a_row_doubles_the_wait) {
  Collapse collapse(kFloor);
  CHECK(phase(&collapse, 2));
  for (const int wait : {8, 16, 32, 64, 128, 256, 256}) {
    CHECK_EQ(wait_after_regret(&collapse), wait);
  }
}

TEST(a_collapse_without_regret_forgives) {
  Collapse collapse(kFloor);
  CHECK(phase(&collapse, 2));
  CHECK_EQ(wait_after_regret(&collapse), 8);
  collapse.note_rise(kHigh / 2 - 1);  // not back at half the peak
  hold(&collapse, kLow, 8);
  CHECK(phase(&collapse, 2));
  CHECK_EQ(wait_after_regret(&collapse), 8);
}

TEST(a_rest_without_events_counts_in_full) {
  Collapse collapse(kFloor);
  CHECK(phase(&collapse, 2));
  collapse.end_generation(kLow, 100);
  CHECK(phase(&collapse, 2));
  collapse.note_rise(kHigh);
  collapse.end_generation(kHigh, 100);
  CHECK(phase(&collapse, 2));
}

TEST(a_late_return_is_no_regret) {
  Collapse collapse(kFloor);
  CHECK(phase(&collapse, 2));
  hold(&collapse, kLow, 8);
  CHECK(phase(&collapse, 2));
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
