// One abuse of the allocator per run. A run that is not stopped ends with status 3.
//
//   abuse SHAPE SIZE CALL WHERE
//     SHAPE: what is wrong with the pointer; `--list` prints all
//     SIZE:  of the block that the abuse is about
//     CALL:  free | realloc | delete | aligned_delete: which function is given the pointer
//     WHERE: here | thread | across | parked: which thread does it. `across`: another thread first,
//            then this one; `parked`: the same, while the other thread lives on with its cache
//
// Prints `pointer 0x...` first: the message of the allocator must name that address. Blocks that
// are free only in a cache are found out when they return to their span, so the program then
// empties its caches (hz3_trim, or the exit of the thread) before it calls itself not stopped.
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string_view>

#include "support/heap.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;
using hz3test::opaque;

constexpr int kNotStopped = 3;

std::size_t size = 0;
const char* call = nullptr;
char static_bytes[4096] = {1};

struct Shape {
  const char* name;
  // Makes the pointer; a block that must stay allocated is simply kept.
  char* (*make)();
  // How often the pointer is passed to the call.
  int times;
};

char* fresh() {
  auto* block = static_cast<char*>(heap::malloc(size));
  CHECK(block != nullptr);
  block[0] = 1;
  return block;
}

char* make_live() { return fresh(); }

char* make_stack() {
  // The frame is gone when the pointer is used; only its address matters.
  char local[64];
  return opaque(&local[opaque(16)]);
}

char* make_static() { return opaque(&static_bytes[1024]); }
char* make_code() {
  return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(&make_static));
}

char* make_mapped() {
  void* memory =
      ::mmap(nullptr, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

char* make_mapped_inside() { return make_mapped() + 64; }

char* make_unmapped() {
  char* memory = make_mapped();
  CHECK_EQ(::munmap(memory, size + 4096), 0);
  return memory;
}

char* make_break() { return static_cast<char*>(::sbrk(4096)) + 16; }

char* at_address(std::uintptr_t address) { return reinterpret_cast<char*>(address); }
char* make_small_number() { return at_address(0x10); }
char* make_non_canonical() { return at_address(std::uintptr_t{1} << 62); }
char* make_kernel() { return at_address(0xffffffff81000000); }
char* make_top() { return at_address(UINTPTR_MAX - 15); }

char* make_middle() {
  const std::size_t usable = heap::usable_size(fresh());
  return fresh() + usable / 32 * 16;
}
char* make_second_granule() { return fresh() + 16; }
char* make_last_byte() { return fresh() + size - 1; }
char* make_plus_one() { return fresh() + 1; }
char* make_plus_eight() { return fresh() + 8; }
char* make_page_inside() { return fresh() + 4096; }
char* make_high_bits() {
  return at_address(reinterpret_cast<std::uintptr_t>(fresh()) | (std::uintptr_t{0xABCD} << 48));
}

// Address space of the allocator in which no block was ever placed.
char* make_far_inside_arena() { return fresh() + (std::size_t{1} << 33); }

constexpr Shape kShapes[] = {
    {"double", make_live, 2},
    {"triple", make_live, 3},
    {"stack", make_stack, 1},
    {"static", make_static, 1},
    {"code", make_code, 1},
    {"mapped", make_mapped, 1},
    {"mapped_inside", make_mapped_inside, 1},
    {"unmapped", make_unmapped, 1},
    {"break", make_break, 1},
    {"small_number", make_small_number, 1},
    {"non_canonical", make_non_canonical, 1},
    {"kernel", make_kernel, 1},
    {"top", make_top, 1},
    {"middle", make_middle, 1},
    {"second_granule", make_second_granule, 1},
    {"last_byte", make_last_byte, 1},
    {"plus_one", make_plus_one, 1},
    {"plus_eight", make_plus_eight, 1},
    {"page_inside", make_page_inside, 1},
    {"high_bits", make_high_bits, 1},
    {"far_inside_arena", make_far_inside_arena, 1},
};

void pass_to_call(char* pointer) {
  if (std::strcmp(call, "free") == 0) heap::free(pointer);
  if (std::strcmp(call, "delete") == 0) ::operator delete(opaque(pointer));
  if (std::strcmp(call, "aligned_delete") == 0) {
    ::operator delete (opaque(pointer), std::align_val_t{16});
  }
  if (std::strcmp(call, "realloc") == 0) {
    void* moved = heap::realloc(pointer, size * 2 + 64);
    heap::free(moved);
  }
}

char* announce(const Shape& shape) {
  char* pointer = shape.make();
  hz3test::say(1, "pointer %#zx\n", reinterpret_cast<std::size_t>(pointer));
  return pointer;
}

void* commit_all(void* shape_argument) {
  const auto* shape = static_cast<const Shape*>(shape_argument);
  char* pointer = announce(*shape);
  for (int time = 0; time < shape->times; ++time) pass_to_call(opaque(pointer));
  return nullptr;
}

struct Accomplice {
  char* pointer;
  bool stays;
  pthread_barrier_t done;
  pthread_barrier_t may_go;
};

void* commit_first(void* argument) {
  auto* accomplice = static_cast<Accomplice*>(argument);
  pass_to_call(accomplice->pointer);
  pthread_barrier_wait(&accomplice->done);
  if (accomplice->stays) pthread_barrier_wait(&accomplice->may_go);
  return nullptr;
}

void empty_caches() {
  if (auto* trim = hz3test::find_function<std::size_t()>("hz3_trim"); trim != nullptr) trim();
}

// The first call by another thread, the others by this one.
void commit_across(const Shape& shape, bool parked) {
  Accomplice accomplice{announce(shape), parked, {}, {}};
  pthread_barrier_init(&accomplice.done, nullptr, 2);
  pthread_barrier_init(&accomplice.may_go, nullptr, 2);
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, commit_first, &accomplice), 0);
  pthread_barrier_wait(&accomplice.done);
  if (!parked) CHECK_EQ(pthread_join(thread, nullptr), 0);
  for (int time = 1; time < shape.times; ++time) pass_to_call(opaque(accomplice.pointer));
  empty_caches();
  if (parked) {
    pthread_barrier_wait(&accomplice.may_go);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
  }
}

const Shape* find_shape(const char* name) {
  for (const Shape& shape : kShapes) {
    if (std::strcmp(shape.name, name) == 0) return &shape;
  }
  hz3test::fail(__FILE__, __LINE__, "no such shape: %s", name);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Shape& shape : kShapes) hz3test::say(1, "%s\n", shape.name);
    return 0;
  }
  CHECK(argc == 5);
  const rlimit no_core{0, 0};
  CHECK_EQ(::setrlimit(RLIMIT_CORE, &no_core), 0);
  const Shape* shape = find_shape(argv[1]);
  size = std::strtoull(argv[2], nullptr, 10);
  call = argv[3];
  const std::string_view where = argv[4];
  if (where == "here") commit_all(const_cast<Shape*>(shape));
  if (where == "thread") {
    pthread_t thread{};
    CHECK_EQ(pthread_create(&thread, nullptr, commit_all, const_cast<Shape*>(shape)), 0);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
  }
  if (where == "across" || where == "parked") commit_across(*shape, where == "parked");
  empty_caches();
  return kNotStopped;
}
