// One abuse of the allocator per run. A run that is not stopped ends with status 3.
//
//   abuse SHAPE SIZE CALL WHERE [ORIGIN]
//     SHAPE:  what is wrong; `--list` prints all
//     SIZE:   of the block that the abuse is about
//     CALL:   which function is given the pointer; `--list-calls` prints all
//     WHERE:  which thread does it, and what brings cached blocks back; `--list-places`
//     ORIGIN: which function makes the block (malloc); `--list-origins`
//
// Prints `pointer 0x...` first, which the message of the allocator must name, and `said N`, the
// size or alignment that a sized call is given. Blocks that are free only in a cache are found out
// when they return to their span, so the program then empties its caches.
#include <pthread.h>
#include <sys/resource.h>

#include <cstdlib>

#include "abuse/calls.hpp"
#include "abuse/shapes.hpp"

namespace {

namespace heap = hz3test::heap;
using namespace hz3test::abuse;
using hz3test::opaque;

constexpr int kNotStopped = 3;

Case the_case;

void commit_call(char* pointer) { the_case.call->use(opaque(pointer), the_case); }

char* announce() {
  char* pointer = the_case.shape->make(&the_case);
  const bool lies = the_case.alignment != Case{}.alignment;
  hz3test::say(1, "pointer %#zx\nsaid %zu\n", reinterpret_cast<std::size_t>(pointer),
               lies ? the_case.alignment : the_case.said_bytes);
  return pointer;
}

void* commit_all(void*) {
  char* pointer = announce();
  for (int time = 0; time < the_case.shape->times; ++time) commit_call(pointer);
  return nullptr;
}

void empty_caches() {
  if (auto* trim = hz3test::find_function<std::size_t()>("hz3_trim"); trim != nullptr) trim();
}

void on_this_thread() {
  commit_all(nullptr);
  empty_caches();
}

void on_another_thread() {
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, commit_all, nullptr), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
}

// Nothing but more frees: the batch with the bad pointer overflows, and allocations on other
// threads and the thread's end bring it back.
void* commit_and_go_on(void*) {
  commit_all(nullptr);
  constexpr int kBlocks = 400;
  void* blocks[kBlocks];
  const std::size_t size = the_case.size < 100'000 ? the_case.size : 100;
  for (void*& block : blocks) block = heap::malloc(size);
  for (void* block : blocks) heap::free(block);
  return nullptr;
}

void in_a_batch() {
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, commit_and_go_on, nullptr), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  empty_caches();
}

struct Accomplice {
  char* pointer;
  bool stays;
  pthread_barrier_t done;
  pthread_barrier_t may_go;
};

void* commit_first(void* argument) {
  auto* accomplice = static_cast<Accomplice*>(argument);
  commit_call(accomplice->pointer);
  pthread_barrier_wait(&accomplice->done);
  if (accomplice->stays) pthread_barrier_wait(&accomplice->may_go);
  return nullptr;
}

// The first call by another thread, the others by this one.
void by_two_threads(bool parked) {
  Accomplice accomplice{announce(), parked, {}, {}};
  pthread_barrier_init(&accomplice.done, nullptr, 2);
  pthread_barrier_init(&accomplice.may_go, nullptr, 2);
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, commit_first, &accomplice), 0);
  pthread_barrier_wait(&accomplice.done);
  if (!parked) CHECK_EQ(pthread_join(thread, nullptr), 0);
  for (int time = 1; time < the_case.shape->times; ++time) commit_call(accomplice.pointer);
  empty_caches();
  if (parked) {
    pthread_barrier_wait(&accomplice.may_go);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
  }
}

void* make_only(void* pointer) {
  *static_cast<char**>(pointer) = announce();
  return nullptr;
}

// The block is one of a thread that has ended; this thread gives it back.
void after_its_thread() {
  char* pointer = nullptr;
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, make_only, &pointer), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  for (int time = 0; time < the_case.shape->times; ++time) commit_call(pointer);
  empty_caches();
}

struct Place {
  const char* name;
  void (*run)();
};

constexpr Place kPlaces[] = {
    {"here", on_this_thread},
    {"thread", on_another_thread},
    {"batch", in_a_batch},
    {"across", [] { by_two_threads(false); }},
    {"parked", [] { by_two_threads(true); }},
    {"orphan", after_its_thread},
};

template <typename Row, std::size_t kRows>
int list(const Row (&rows)[kRows]) {
  for (const Row& row : rows) hz3test::say(1, "%s\n", row.name);
  return 0;
}

template <typename Row, std::size_t kRows>
const Row* find(const Row (&rows)[kRows], const char* name) {
  for (const Row& row : rows) {
    if (std::strcmp(row.name, name) == 0) return &row;
  }
  hz3test::fail(__FILE__, __LINE__, "no such case: %s", name);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) return list(kShapes);
  if (argc == 2 && std::strcmp(argv[1], "--list-calls") == 0) return list(kCalls);
  if (argc == 2 && std::strcmp(argv[1], "--list-places") == 0) return list(kPlaces);
  if (argc == 2 && std::strcmp(argv[1], "--list-origins") == 0) return list(kOrigins);
  CHECK(argc == 5 || argc == 6);
  const rlimit no_core{0, 0};
  CHECK_EQ(::setrlimit(RLIMIT_CORE, &no_core), 0);
  the_case.shape = find(kShapes, argv[1]);
  the_case.size = std::strtoull(argv[2], nullptr, 10);
  the_case.said_bytes = the_case.size;
  the_case.call = find(kCalls, argv[3]);
  the_case.origin = find(kOrigins, argc == 6 ? argv[5] : "malloc");
  find(kPlaces, argv[4])->run();
  return kNotStopped;
}
