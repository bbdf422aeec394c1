// Turns random knobs of hz3 to random values of their range while a program runs: a knob may change
// at any time, so the heap must stay sound under every mixture. Does nothing under another malloc.
#ifndef HZ3_TESTS_KNOB_TURNER_HPP
#define HZ3_TESTS_KNOB_TURNER_HPP

#include <cstring>

#include "hz3/hz3.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace hz3test {

class KnobTurner {
 public:
  explicit KnobTurner(std::uint64_t seed) : random_(seed, 77) {
#ifdef HZ3_TEST_DIRECT
    count_ = hz3_knob_count;
    at_ = hz3_knob_at;
    set_ = hz3_knob_set;
#else
    count_ = find_function<decltype(hz3_knob_count)>("hz3_knob_count");
    at_ = find_function<decltype(hz3_knob_at)>("hz3_knob_at");
    set_ = find_function<decltype(hz3_knob_set)>("hz3_knob_set");
#endif
  }

  void turn() {
    if (set_ == nullptr) return;
    const hz3_knob_info* knob = at_(random_.below(count_()));
    // What stops the program must go on doing so, and some can only be set at the start.
    if ((knob->flags & HZ3_KNOB_AT_START) != 0 || std::strcmp(knob->name, "on_invalid_free") == 0) {
      return;
    }
    CHECK_EQ(set_(knob->name, draw(*knob)), static_cast<int>(HZ3_OK));
  }

 private:
  // The ends and the default are as likely as everything between them.
  std::int64_t draw(const hz3_knob_info& knob) {
    const auto range = static_cast<std::size_t>(knob.max_value - knob.min_value);
    switch (random_.below(4)) {
      case 0:
        return knob.min_value;
      case 1:
        return knob.max_value;
      case 2:
        return knob.default_value;
      default:
        break;
    }
    if (range == 0) return knob.min_value;
    return knob.min_value + static_cast<std::int64_t>(random_.log_uniform(range));
  }

  Random random_;
  decltype(hz3_knob_count)* count_ = nullptr;
  decltype(hz3_knob_at)* at_ = nullptr;
  decltype(hz3_knob_set)* set_ = nullptr;
};

}  // namespace hz3test

#endif  // HZ3_TESTS_KNOB_TURNER_HPP
