// What an abuse is made of: how the block came to be, and which function is given the pointer.
#ifndef HZ3_TESTS_ABUSE_CALLS_HPP
#define HZ3_TESTS_ABUSE_CALLS_HPP

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <new>

#include "support/heap.hpp"
#include "support/process.hpp"

namespace hz3test::abuse {

struct Shape;
struct Call;
struct Origin;

struct Case {
  const Shape* shape = nullptr;
  const Call* call = nullptr;
  const Origin* origin = nullptr;
  std::size_t size = 0;        // asked for
  std::size_t said_bytes = 0;  // what a sized call is told
  std::size_t alignment = 16;  // what an aligned call is told
};

struct Call {
  const char* name;
  void (*use)(char* pointer, const Case& about);
};

struct Origin {
  const char* name;
  void* (*make)(std::size_t size);
};

inline constexpr Origin kOrigins[] = {
    {"malloc", [](std::size_t size) { return heap::malloc(size); }},
    {"calloc", [](std::size_t size) { return heap::calloc(1, size); }},
    {"realloc", [](std::size_t size) { return heap::realloc(heap::malloc(7), size); }},
    {"memalign", [](std::size_t size) { return opaque(::memalign(64, opaque(size))); }},
    {"posix_memalign",
     [](std::size_t size) {
       void* block = nullptr;
       CHECK_EQ(heap::posix_memalign(&block, 256, size), 0);
       return block;
     }},
    {"new", [](std::size_t size) { return opaque(::operator new(opaque(size))); }},
    {"new_array", [](std::size_t size) { return opaque(::operator new[](opaque(size))); }},
    {"new_nothrow",
     [](std::size_t size) { return opaque(::operator new(opaque(size), std::nothrow)); }},
    {"new_aligned",
     [](std::size_t size) { return opaque(::operator new (opaque(size), std::align_val_t{128})); }},
    // Larger than the large heap's region aligns: a mapping of its own.
    {"mapping", [](std::size_t size) { return opaque(::memalign(4 << 20, opaque(size))); }},
};

inline std::align_val_t alignment_of(const Case& about) {
  return std::align_val_t{about.alignment};
}

inline constexpr Call kCalls[] = {
    {"free", [](char* pointer, const Case&) { heap::free(pointer); }},
    {"realloc", [](char* pointer,
                   const Case& about) { heap::free(heap::realloc(pointer, about.size * 2 + 64)); }},
    {"reallocarray",
     [](char* pointer, const Case& about) {
       heap::free(opaque(::reallocarray(pointer, 3, opaque(about.size))));
     }},
    {"realloc_to_0",
     [](char* pointer, const Case&) { CHECK(heap::realloc(pointer, 0) == nullptr); }},
    {"delete", [](char* pointer, const Case&) { ::operator delete(opaque(pointer)); }},
    {"delete_array", [](char* pointer, const Case&) { ::operator delete[](opaque(pointer)); }},
    {"delete_nothrow",
     [](char* pointer, const Case&) { ::operator delete(opaque(pointer), std::nothrow); }},
    {"delete_sized",
     [](char* pointer, const Case& about) {
       ::operator delete(opaque(pointer), opaque(about.said_bytes));
     }},
    {"delete_array_sized",
     [](char* pointer, const Case& about) {
       ::operator delete[](opaque(pointer), opaque(about.said_bytes));
     }},
    {"delete_aligned",
     [](char* pointer, const Case& about) {
       ::operator delete(opaque(pointer), alignment_of(about));
     }},
    {"delete_sized_aligned",
     [](char* pointer, const Case& about) {
       ::operator delete(opaque(pointer), opaque(about.said_bytes), alignment_of(about));
     }},
    {"free_sized",
     [](char* pointer, const Case& about) {
       auto* function = find_function<void(void*, std::size_t)>("free_sized");
       CHECK(function != nullptr);
       function(pointer, about.said_bytes);
     }},
    {"free_aligned_sized",
     [](char* pointer, const Case& about) {
       auto* function = find_function<void(void*, std::size_t, std::size_t)>("free_aligned_sized");
       CHECK(function != nullptr);
       function(pointer, about.alignment, about.said_bytes);
     }},
};

}  // namespace hz3test::abuse

#endif  // HZ3_TESTS_ABUSE_CALLS_HPP
