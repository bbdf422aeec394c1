// Preloaded beside hz3, prints its counters when the program ends: "hz3-counter NAME VALUE" lines
// on standard error. Prints nothing under another malloc.
#include <cstdint>

#include "hz3/hz3.h"
#include "support/check.hpp"
#include "support/process.hpp"

namespace {

constexpr std::size_t kMost = 512;

__attribute__((destructor)) void print_counters() {
  auto* read = hz3test::find_function<decltype(hz3_counters_read)>("hz3_counters_read");
  auto* at = hz3test::find_function<decltype(hz3_counter_at)>("hz3_counter_at");
  if (read == nullptr || at == nullptr) return;
  std::uint64_t values[kMost] = {};
  const std::size_t count = read(values, kMost);
  for (std::size_t index = 0; index < count; ++index) {
    hz3test::say(2, "hz3-counter %s %llu\n", at(index)->name,
                 static_cast<unsigned long long>(values[index]));
  }
}

}  // namespace
