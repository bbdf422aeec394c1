// operator new and delete in all their forms.
//
// The library does not link libstdc++; a program that throws has it. What it provides is weak here:
// absent in a C program, where nobody can throw or catch anything either. The only file that is
// compiled with exceptions.
#include <new>

#include "base/fatal.h"
#include "entry/allocate.h"
#include "entry/exports.h"

// What the compiler calls for the one try block, weak for the same reason.
__asm__(
    ".weak __gxx_personality_v0\n.weak __cxa_begin_catch\n.weak __cxa_end_catch\n"
    ".weak __cxa_call_unexpected\n.weak _Unwind_Resume\n.weak _ZSt9terminatev\n");

namespace std {
__attribute__((weak, noreturn)) void __throw_bad_alloc();
__attribute__((weak)) new_handler get_new_handler() noexcept;
}  // namespace std

namespace {

// The standard's loop: as long as there is a handler, it may free memory or throw.
HZ3_COLD void* after_failure(std::size_t alignment, std::size_t size) {
  while (std::get_new_handler != nullptr) {
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) break;
    handler();
    void* block = hz3::allocate_aligned(alignment, size);
    if (block != nullptr) return block;
  }
  return nullptr;
}

[[noreturn]] HZ3_COLD void throw_bad_alloc() {
  if (std::__throw_bad_alloc != nullptr) std::__throw_bad_alloc();
  hz3::fatal("out of memory in operator new", "no C++ library is loaded that could throw", "E10");
}

HZ3_NOINLINE void* new_miss(std::size_t size) {
  void* block = hz3::allocate_slow(size);
  if (HZ3_LIKELY(block != nullptr)) return block;
  block = after_failure(1, size);
  if (block == nullptr) throw_bad_alloc();
  return block;
}

HZ3_ALWAYS_INLINE void* new_or_throw(std::size_t size) {
  void* block = hz3::allocate_hit(size);
  return HZ3_LIKELY(block != nullptr) ? block : new_miss(size);
}

// The nothrow forms swallow what a handler throws.
void* after_failure_nothrow(std::size_t alignment, std::size_t size) noexcept {
  try {
    return after_failure(alignment, size);
  } catch (...) {
    return nullptr;
  }
}

// std::align_val_t is a power of two by the rules of the language.
void* aligned_or_null(std::size_t size, std::align_val_t alignment) noexcept {
  const auto bytes = static_cast<std::size_t>(alignment);
  void* block = hz3::allocate_aligned(bytes, size);
  return block != nullptr ? block : after_failure_nothrow(bytes, size);
}

void* aligned_or_throw(std::size_t size, std::align_val_t alignment) {
  const auto bytes = static_cast<std::size_t>(alignment);
  void* block = hz3::allocate_aligned(bytes, size);
  if (block == nullptr) block = after_failure(bytes, size);
  if (block == nullptr) throw_bad_alloc();
  return block;
}

void* new_or_null(std::size_t size) noexcept {
  void* block = hz3::allocate(size);
  return HZ3_LIKELY(block != nullptr) ? block : after_failure_nothrow(1, size);
}

constexpr hz3::Claim aligned_claim(std::align_val_t alignment,
                                   std::size_t size = hz3::Claim::kUnsaid) {
  return {size, static_cast<std::size_t>(alignment)};
}

}  // namespace

#define HZ3_OPERATOR __attribute__((visibility("default")))

HZ3_OPERATOR void* operator new(std::size_t size) { return new_or_throw(size); }
HZ3_OPERATOR void* operator new[](std::size_t size) { return new_or_throw(size); }
HZ3_OPERATOR void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return new_or_null(size);
}
HZ3_OPERATOR void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return new_or_null(size);
}
HZ3_OPERATOR void* operator new(std::size_t size, std::align_val_t alignment) {
  return aligned_or_throw(size, alignment);
}
HZ3_OPERATOR void* operator new[](std::size_t size, std::align_val_t alignment) {
  return aligned_or_throw(size, alignment);
}
HZ3_OPERATOR void* operator new(std::size_t size, std::align_val_t alignment,
                                const std::nothrow_t&) noexcept {
  return aligned_or_null(size, alignment);
}
HZ3_OPERATOR void* operator new[](std::size_t size, std::align_val_t alignment,
                                  const std::nothrow_t&) noexcept {
  return aligned_or_null(size, alignment);
}

HZ3_OPERATOR void operator delete(void* block) noexcept { hz3::release(block); }
HZ3_OPERATOR void operator delete[](void* block) noexcept { hz3::release(block); }
HZ3_OPERATOR void operator delete(void* block, const std::nothrow_t&) noexcept {
  hz3::release(block);
}
HZ3_OPERATOR void operator delete[](void* block, const std::nothrow_t&) noexcept {
  hz3::release(block);
}
HZ3_OPERATOR void operator delete(void* block, std::size_t size) noexcept {
  hz3::release(block, {.bytes = size});
}
HZ3_OPERATOR void operator delete[](void* block, std::size_t size) noexcept {
  hz3::release(block, {.bytes = size});
}
HZ3_OPERATOR void operator delete(void* block, std::align_val_t alignment) noexcept {
  hz3::release(block, aligned_claim(alignment));
}
HZ3_OPERATOR void operator delete[](void* block, std::align_val_t alignment) noexcept {
  hz3::release(block, aligned_claim(alignment));
}
HZ3_OPERATOR void operator delete(void* block, std::size_t size,
                                  std::align_val_t alignment) noexcept {
  hz3::release(block, aligned_claim(alignment, size));
}
HZ3_OPERATOR void operator delete[](void* block, std::size_t size,
                                    std::align_val_t alignment) noexcept {
  hz3::release(block, aligned_claim(alignment, size));
}
HZ3_OPERATOR void operator delete(void* block, std::align_val_t alignment,
                                  const std::nothrow_t&) noexcept {
  hz3::release(block, aligned_claim(alignment));
}
HZ3_OPERATOR void operator delete[](void* block, std::align_val_t alignment,
                                    const std::nothrow_t&) noexcept {
  hz3::release(block, aligned_claim(alignment));
}
