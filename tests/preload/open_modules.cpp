// dlopen and dlclose under the allocator, and of the allocator.
//
//   open_modules cycle MODULE ROUNDS         opens, uses in threads and closes one module
//   open_modules late LIBRARY MODULE...      opens many modules with thread-local storage, then the
//                                            allocator itself, and uses it by its own names
#include <dlfcn.h>
#include <pthread.h>

#include <cstdlib>

#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;
using Work = void*(std::size_t);

Work* find_work(void* module) {
  auto* work = reinterpret_cast<Work*>(::dlsym(module, "module_work"));
  CHECK(work != nullptr);
  return work;
}

void* open_module(const char* path) {
  void* module = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  CHECKF(module != nullptr, "%s", ::dlerror());
  return module;
}

void* use_in_thread(void* work) {
  for (std::size_t size = 1; size < 100000; size *= 3) {
    heap::free((*reinterpret_cast<Work*>(work))(size));
  }
  return nullptr;
}

void run_cycles(const char* path, unsigned long rounds) {
  std::size_t warm = 0;
  for (unsigned long round = 0; round < rounds; ++round) {
    if (round == rounds / 4) warm = hz3test::resident_bytes();
    void* module = open_module(path);
    Work* const work = find_work(module);
    pthread_t thread{};
    CHECK_EQ(pthread_create(&thread, nullptr, use_in_thread, reinterpret_cast<void*>(work)), 0);
    void* survivor = work(5000);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
    CHECK_EQ(::dlclose(module), 0);
    heap::free(survivor);  // a block outlives the module that allocated it
  }
  const std::size_t last = hz3test::resident_bytes();
  CHECKF(last < warm + (std::size_t{1} << 20), "resident %zu -> %zu KiB", warm >> 10, last >> 10);
}

template <typename Function>
Function* find_in(void* library, const char* name) {
  auto* function = reinterpret_cast<Function*>(::dlsym(library, name));
  CHECKF(function != nullptr, "%s", ::dlerror());
  return function;
}

// A private instance beside the malloc of the process.
void use_private_library(void* library) {
  auto* hz3_malloc = find_in<void*(std::size_t)>(library, "hz3_malloc");
  auto* hz3_calloc = find_in<void*(std::size_t, std::size_t)>(library, "hz3_calloc");
  auto* hz3_realloc = find_in<void*(void*, std::size_t)>(library, "hz3_realloc");
  auto* hz3_free = find_in<void(void*)>(library, "hz3_free");
  auto* hz3_owns = find_in<int(const void*)>(library, "hz3_owns");
  for (std::size_t size = 1; size < (std::size_t{16} << 20); size = size * 2 + 3) {
    void* ours = hz3_malloc(size);
    void* theirs = heap::malloc(size);
    CHECK(ours != nullptr && theirs != nullptr);
    CHECK_EQ(hz3_owns(ours), 1);
    CHECK_EQ(hz3_owns(theirs), 0);
    hz3test::fill_pattern(ours, size, size);
    hz3test::fill_pattern(theirs, size, size + 1);
    ours = hz3_realloc(ours, size * 2);
    CHECK(hz3test::find_difference(ours, size, size, size) == hz3test::kNoDifference);
    CHECK(hz3test::has_pattern(theirs, size, size + 1));
    hz3_free(ours);
    heap::free(theirs);
    void* cleared = hz3_calloc(1, size);
    CHECK(hz3test::is_zeroed(cleared, size));
    hz3_free(cleared);
  }
}

void* use_private_in_thread(void* library) {
  use_private_library(library);
  return nullptr;
}

void run_late(int argc, char** argv) {
  for (int index = 3; index < argc; ++index) {
    heap::free(find_work(open_module(argv[index]))(100));
  }
  for (int round = 0; round < 3; ++round) {
    void* library = open_module(argv[2]);
    use_private_library(library);
    pthread_t thread{};
    CHECK_EQ(pthread_create(&thread, nullptr, use_private_in_thread, library), 0);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
    CHECK_EQ(::dlclose(library), 0);  // the library stays: it is linked nodelete
  }
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc >= 3);
  if (std::strcmp(argv[1], "cycle") == 0) run_cycles(argv[2], std::strtoul(argv[3], nullptr, 10));
  if (std::strcmp(argv[1], "late") == 0) run_late(argc, argv);
  hz3test::say(1, "done\n");
  return 0;
}
