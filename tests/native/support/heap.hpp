// The allocation functions under test, behind calls that the compiler cannot see through.
//
// Usually these are the malloc family of the process (interposed by LD_PRELOAD or not). With
// HZ3_TEST_DIRECT they are the hz3_* functions of the library linked into the program: that is how
// the sanitizer builds test hz3 while the sanitizer keeps the malloc family for itself.
#ifndef HZ3_TESTS_HEAP_HPP
#define HZ3_TESTS_HEAP_HPP

#include <dlfcn.h>
#include <malloc.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#ifdef HZ3_TEST_DIRECT
#include "hz3/hz3.h"
#endif

namespace hz3test {

// Hides a value from the optimiser: no allocation is folded away, no "absurd size" is diagnosed.
template <typename T>
inline T opaque(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}

inline constexpr std::size_t kMaxAlign = alignof(std::max_align_t);

// What a caller that names no alignment may expect: an object of `size` bytes can lie there.
inline constexpr std::size_t natural_alignment(std::size_t size) {
  return size > kMaxAlign / 2 ? kMaxAlign : kMaxAlign / 2;
}

namespace heap {

#ifdef HZ3_TEST_DIRECT
inline void* malloc(std::size_t size) { return hz3_malloc(size); }
inline void* calloc(std::size_t count, std::size_t size) { return hz3_calloc(count, size); }
inline void* realloc(void* block, std::size_t size) { return hz3_realloc(block, size); }
inline void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return hz3_aligned_alloc(alignment, size);
}
inline int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  void* result = hz3_aligned_alloc(alignment, size);
  if (result == nullptr) return ENOMEM;
  *block = result;
  return 0;
}
inline void free(void* block) { hz3_free(block); }
inline std::size_t usable_size(void* block) { return hz3_usable_size(block); }
inline void trim() { hz3_trim(); }
// Other threads may be at work, which ThreadSanitizer would not like.
inline bool is_sound() { return true; }
#else
inline void* malloc(std::size_t size) { return opaque(::malloc(opaque(size))); }
inline void* calloc(std::size_t count, std::size_t size) {
  return opaque(::calloc(opaque(count), opaque(size)));
}
inline void* realloc(void* block, std::size_t size) {
  return opaque(::realloc(opaque(block), opaque(size)));
}
inline void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return opaque(::aligned_alloc(opaque(alignment), opaque(size)));
}
inline int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  return ::posix_memalign(block, opaque(alignment), opaque(size));
}
inline void free(void* block) { ::free(opaque(block)); }
inline std::size_t usable_size(void* block) { return ::malloc_usable_size(opaque(block)); }
inline void trim() { ::malloc_trim(0); }
// What hz3 says about its own structures; other allocators are believed.
inline bool is_sound() {
  static auto* check = reinterpret_cast<std::size_t (*)()>(::dlsym(RTLD_DEFAULT, "hz3_check_heap"));
  return check == nullptr || check() == 0;
}
#endif

}  // namespace heap
}  // namespace hz3test

#endif  // HZ3_TESTS_HEAP_HPP
