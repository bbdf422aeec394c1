// One allocation function as the very first call of a process, at one of several early moments:
//
//   first_op OPERATION MOMENT      MOMENT: preinit | constructor | main | thread | child
//   first_op --list                names of all operations, one per line
//
// `preinit` runs before the constructor of any library, so also before the allocator's. Nothing
// here allocates before the operation does: the program uses neither stdio nor C++ runtime objects.
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;
using hz3test::opaque;

constexpr std::size_t kSize = 1000;

// A block of kSize bytes: usable, writable, freeable.
void expect_block(void* block, std::size_t alignment) {
  CHECK(block != nullptr);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, std::uintptr_t{0});
  hz3test::fill_pattern(block, kSize, 1);
  CHECK(hz3test::has_pattern(block, kSize, 1));
}

void take(void* block, std::size_t alignment = alignof(std::max_align_t)) {
  expect_block(block, alignment);
  heap::free(block);
}

void first_malloc() { take(heap::malloc(kSize)); }
void first_malloc_large() { take(heap::malloc(std::size_t{64} << 20)); }
void first_calloc() {
  void* block = heap::calloc(10, kSize / 10);
  CHECK(hz3test::is_zeroed(block, kSize));
  take(block);
}
void first_realloc() { take(heap::realloc(nullptr, kSize)); }
void first_reallocarray() { take(opaque(::reallocarray(nullptr, 10, kSize / 10))); }
void first_memalign() { take(opaque(::memalign(256, kSize)), 256); }
void first_aligned_alloc() { take(heap::aligned_alloc(512, kSize), 512); }
void first_posix_memalign() {
  void* block = nullptr;
  CHECK_EQ(heap::posix_memalign(&block, 4096, kSize), 0);
  take(block, 4096);
}
void first_valloc() { take(opaque(::valloc(kSize)), 4096); }
void first_pvalloc() { take(opaque(::pvalloc(kSize)), 4096); }
void first_free() {
  heap::free(nullptr);
  first_malloc();
}
void first_usable_size() {
  CHECK_EQ(heap::usable_size(nullptr), std::size_t{0});
  first_malloc();
}
void first_refusal() {
  CHECK(heap::malloc(SIZE_MAX) == nullptr);
  CHECK_EQ(errno, ENOMEM);
  first_malloc();
}
void first_trim() {
  ::malloc_trim(0);
  first_malloc();
}
void first_mallinfo2() {
  const struct mallinfo2 information = ::mallinfo2();
  CHECK(information.uordblks < (std::size_t{1} << 40));
  first_malloc();
}
void first_mallopt() {
  ::mallopt(M_ARENA_MAX, 1);
  first_malloc();
}
void first_fork() {
  const pid_t child = ::fork();
  if (child == 0) {
    first_malloc();
    ::_exit(0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  first_malloc();
}
void first_new() {
  void* block = opaque(::operator new(kSize));
  expect_block(block, 16);
  ::operator delete(block);
}
void first_new_array() {
  void* block = opaque(::operator new[](kSize));
  expect_block(block, 16);
  ::operator delete[](block, kSize);
}
void first_new_nothrow() {
  void* block = opaque(::operator new(kSize, std::nothrow));
  expect_block(block, 16);
  ::operator delete(block, std::nothrow);
}
void first_new_aligned() {
  void* block = opaque(::operator new (kSize, std::align_val_t{128}));
  expect_block(block, 128);
  ::operator delete (block, kSize, std::align_val_t{128});
}
void first_new_refused() {
  CHECK(opaque(::operator new(opaque(SIZE_MAX), std::nothrow)) == nullptr);
  first_malloc();
}

struct Entry {
  const char* name;
  void (*run)();
};

constexpr Entry kEntries[] = {
    {"malloc", first_malloc},
    {"malloc_large", first_malloc_large},
    {"calloc", first_calloc},
    {"realloc", first_realloc},
    {"reallocarray", first_reallocarray},
    {"memalign", first_memalign},
    {"aligned_alloc", first_aligned_alloc},
    {"posix_memalign", first_posix_memalign},
    {"valloc", first_valloc},
    {"pvalloc", first_pvalloc},
    {"free", first_free},
    {"malloc_usable_size", first_usable_size},
    {"refusal", first_refusal},
    {"malloc_trim", first_trim},
    {"mallinfo2", first_mallinfo2},
    {"mallopt", first_mallopt},
    {"fork", first_fork},
    {"new", first_new},
    {"new_array", first_new_array},
    {"new_nothrow", first_new_nothrow},
    {"new_aligned", first_new_aligned},
    {"new_refused", first_new_refused},
};

void run_named(const char* name) {
  for (const Entry& entry : kEntries) {
    if (std::strcmp(entry.name, name) != 0) continue;
    entry.run();
    return;
  }
  hz3test::fail(__FILE__, __LINE__, "no such operation: %s", name);
}

void* thread_main(void* name) {
  run_named(static_cast<const char*>(name));
  return nullptr;
}

void run_in_thread(char* name) {
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, thread_main, name), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
}

void run_in_child(const char* name) {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    run_named(name);
    ::_exit(0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

bool asks_for(int argc, char** argv, const char* moment) {
  return argc == 3 && std::strcmp(argv[2], moment) == 0;
}

void at_preinit(int argc, char** argv, char**) {
  if (asks_for(argc, argv, "preinit")) run_named(argv[1]);
}
__attribute__((section(".preinit_array"), used)) void (*const preinit)(int, char**,
                                                                       char**) = at_preinit;

__attribute__((constructor)) void at_constructor(int argc, char** argv, char**) {
  if (asks_for(argc, argv, "constructor")) run_named(argv[1]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Entry& entry : kEntries) hz3test::say(1, "%s\n", entry.name);
    return 0;
  }
  CHECK(argc == 3);
  if (asks_for(argc, argv, "main")) run_named(argv[1]);
  if (asks_for(argc, argv, "thread")) run_in_thread(argv[1]);
  if (asks_for(argc, argv, "child")) run_in_child(argv[1]);
  // Whatever came first, everything works afterwards.
  for (const Entry& entry : kEntries) entry.run();
  hz3test::say(1, "done\n");
  return 0;
}
