// Command line of the native test programs: `--name value` pairs with defaults, and the seed.
#ifndef HZ3_TESTS_OPTIONS_HPP
#define HZ3_TESTS_OPTIONS_HPP

#include <time.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "support/check.hpp"

namespace hz3test {

class Options {
 public:
  Options(int argc, char** argv) : argc_(argc), argv_(argv) {}

  const char* text(const char* name, const char* fallback) const {
    for (int index = 1; index + 1 < argc_; ++index) {
      if (std::strcmp(argv_[index], name) == 0) return argv_[index + 1];
    }
    return fallback;
  }

  std::uint64_t number(const char* name, std::uint64_t fallback) const {
    const char* value = text(name, nullptr);
    if (value == nullptr) return fallback;
    char* end = nullptr;
    const std::uint64_t parsed = std::strtoull(value, &end, 0);
    if (end == value || *end != '\0') fail(__FILE__, __LINE__, "%s: not a number: %s", name, value);
    return parsed;
  }

  bool flag(const char* name) const {
    for (int index = 1; index < argc_; ++index) {
      if (std::strcmp(argv_[index], name) == 0) return true;
    }
    return false;
  }

  // The seed of a random program: --seed, else HZ3_TEST_SEED, else the clock. Always printed, so
  // that any run can be repeated.
  std::uint64_t seed() const {
    const char* variable = std::getenv("HZ3_TEST_SEED");
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    std::uint64_t fallback =
        static_cast<std::uint64_t>(now.tv_sec) * 1000003U + static_cast<std::uint64_t>(now.tv_nsec);
    if (variable != nullptr && *variable != '\0') fallback = std::strtoull(variable, nullptr, 0);
    const std::uint64_t chosen = number("--seed", fallback);
    say(1, "seed %llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }

 private:
  int argc_;
  char** argv_;
};

}  // namespace hz3test

#endif  // HZ3_TESTS_OPTIONS_HPP
