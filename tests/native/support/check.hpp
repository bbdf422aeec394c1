// Expectations for the native test programs.
//
// CHECK stops the program with one line on stderr and exit status 1, so that a failed expectation
// differs from a stop by the allocator (SIGABRT). Nothing here allocates: the checks work in signal
// handlers, in children of fork and in threads whose thread-local storage is gone.
#ifndef HZ3_TESTS_CHECK_HPP
#define HZ3_TESTS_CHECK_HPP

#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace hz3test {

// Writes all of `text` to `descriptor`; a closed descriptor is ignored.
inline void write_all(int descriptor, const char* text, std::size_t length) {
  while (length > 0) {
    const ssize_t written = ::write(descriptor, text, length);
    if (written <= 0) return;
    text += written;
    length -= static_cast<std::size_t>(written);
  }
}

// printf without the heap: formats on the stack, writes with write(2).
[[gnu::format(printf, 2, 3)]] inline void say(int descriptor, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length <= 0) return;
  const auto bytes = static_cast<std::size_t>(length);
  write_all(descriptor, line, bytes < sizeof line ? bytes : sizeof line - 1);
}

[[noreturn, gnu::format(printf, 3, 4)]] inline void fail(const char* file, int line,
                                                         const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const char* base = std::strrchr(file, '/');
  say(2, "FAILED %s:%d: %s\n", base != nullptr ? base + 1 : file, line, text);
  ::_exit(1);
}

// One printable form for integers, enumerations and pointers.
template <typename T>
inline long long printable(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return static_cast<long long>(reinterpret_cast<std::uintptr_t>(value));
  } else {
    return static_cast<long long>(value);
  }
}

// A unit test of the program; main calls run_tests.
struct Test {
  const char* name;
  void (*body)();
  Test* next;

  static Test*& first() {
    static Test* list = nullptr;
    return list;
  }
  Test(const char* test_name, void (*test_body)())
      : name(test_name), body(test_body), next(first()) {
    first() = this;
  }
};

// Runs every test, or those whose name contains `argv[1]`, each in a process of its own: global
// state starts afresh, and a crash ends only one of them. Returns the exit status.
inline int run_tests(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  int count = 0;
  int failures = 0;
  for (Test* test = Test::first(); test != nullptr; test = test->next) {
    if (std::strstr(test->name, wanted) == nullptr) continue;
    const pid_t child = ::fork();
    if (child == 0) {
      test->body();
      std::exit(0);
    }
    int status = 0;
    const bool passed = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
    say(1, "%s %s\n", passed ? "ok" : "FAILED", test->name);
    if (WIFSIGNALED(status)) say(2, "%s died by signal %d\n", test->name, WTERMSIG(status));
    ++count;
    failures += passed ? 0 : 1;
  }
  say(1, "%d tests, %d failures\n", count, failures);
  return failures == 0 && count > 0 ? 0 : 1;
}

}  // namespace hz3test

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) ::hz3test::fail(__FILE__, __LINE__, "%s", #condition); \
  } while (false)

// CHECK with a message of its own: CHECKF(size > 0, "size %zu", size).
#define CHECKF(condition, ...)                                          \
  do {                                                                  \
    if (!(condition)) ::hz3test::fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (false)

#define CHECK_EQ(left, right)                                                                 \
  do {                                                                                        \
    const auto left_value_ = (left);                                                          \
    const auto right_value_ = (right);                                                        \
    if (!(left_value_ == right_value_)) {                                                     \
      ::hz3test::fail(__FILE__, __LINE__, "%s == %s: 0x%llx against 0x%llx", #left, #right,   \
                      ::hz3test::printable(left_value_), ::hz3test::printable(right_value_)); \
    }                                                                                         \
  } while (false)

#define TEST(name)                                              \
  static void test_##name();                                    \
  static ::hz3test::Test registered_##name{#name, test_##name}; \
  static void test_##name()

#endif  // HZ3_TESTS_CHECK_HPP
