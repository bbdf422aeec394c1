// Runs a scenario and prints what the counters gained: one line "name value" each.
//
//   knob_effects SCENARIO [NAME=VALUE]...     the knobs are set through the C API, after the start
#include <cstring>

#include "hz3/hz3.h"
#include "support/check.hpp"
#include "support/process.hpp"

extern "C" int hz3_scenario(const char* name);

namespace {

constexpr std::size_t kMost = 256;

template <typename Function>
Function* need(const char* name) {
  auto* function = hz3test::find_function<Function>(name);
  CHECKF(function != nullptr, "%s is not there", name);
  return function;
}
#define HZ3(name) need<decltype(name)>(#name)

void set(char* assignment) {
  char* equals = std::strchr(assignment, '=');
  CHECKF(equals != nullptr, "no NAME=VALUE: %s", assignment);
  *equals = '\0';
  char message[300] = {};
  const int refused = HZ3(hz3_knob_set_text)(assignment, equals + 1, message, sizeof message);
  CHECKF(refused == HZ3_OK, "%s", message);
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc >= 2);
  for (int index = 2; index < argc; ++index) set(argv[index]);
  std::uint64_t before[kMost] = {};
  std::uint64_t after[kMost] = {};
  const std::size_t count = HZ3(hz3_counters_read)(before, kMost);
  CHECKF(hz3_scenario(argv[1]) == 0, "no scenario %s", argv[1]);
  HZ3(hz3_counters_read)(after, kMost);
  for (std::size_t index = 0; index < count; ++index) {
    hz3test::say(1, "%s %llu\n", HZ3(hz3_counter_at)(index)->name,
                 static_cast<unsigned long long>(after[index] - before[index]));
  }
  return 0;
}
