// What a test program asks about itself: its resident memory and which library serves malloc.
#ifndef HZ3_TESTS_PROCESS_HPP
#define HZ3_TESTS_PROCESS_HPP

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/check.hpp"

namespace hz3test {

// Resident bytes from /proc/self/statm, read without the heap.
inline std::size_t resident_bytes() {
  char text[128] = {};
  const int descriptor = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(descriptor >= 0);
  const ssize_t length = ::read(descriptor, text, sizeof text - 1);
  ::close(descriptor);
  CHECK(length > 0);
  const char* second = std::strchr(text, ' ');
  CHECK(second != nullptr);
  return std::strtoull(second, nullptr, 10) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// A function of the library under test, or null when the program runs under another malloc.
template <typename Function>
inline Function* find_function(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

inline bool under_hz3() {
#ifdef HZ3_TEST_DIRECT
  return true;
#else
  return ::dlsym(RTLD_DEFAULT, "hz3_version") != nullptr;
#endif
}

// Memory for the test's own books: never from the allocator under test.
template <typename T>
inline T* map_zeroed(std::size_t count) {
  void* memory = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<T*>(memory);
}

}  // namespace hz3test

#endif  // HZ3_TESTS_PROCESS_HPP
