// The interposed C family. Only this layer knows errno and the corner cases of the standards;
// where these leave a choice, glibc 2.36 decides.
#include <malloc.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "entry/allocate.h"
#include "entry/exports.h"
#include "os/memory.h"

namespace {

using hz3::allocate;

HZ3_ALWAYS_INLINE void* or_enomem(void* block) {
  if (HZ3_UNLIKELY(block == nullptr)) errno = ENOMEM;
  return block;
}

HZ3_NOINLINE void* malloc_miss(std::size_t size) { return or_enomem(hz3::allocate_slow(size)); }

// memalign of glibc: alignments are rounded up to a power of two.
void* aligned(std::size_t alignment, std::size_t size) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return nullptr;
  }
  if (size > hz3::kMaxRequestBytes) return or_enomem(nullptr);
  return or_enomem(hz3::allocate_aligned(std::bit_ceil(alignment), size));
}

void* resize(void* block, std::size_t size) {
  if (block == nullptr) return or_enomem(allocate(size));
  if (size == 0) {
    hz3::release(block);
    return nullptr;
  }
  return or_enomem(hz3::reallocate(block, size));
}

}  // namespace

HZ3_EXPORT HZ3_HOT void* malloc(std::size_t size) noexcept {
  void* block = hz3::allocate_hit(size);
  return HZ3_LIKELY(block != nullptr) ? block : malloc_miss(size);
}

HZ3_EXPORT HZ3_HOT void free(void* block) noexcept { hz3::release(block); }

HZ3_EXPORT void free_sized(void* block, std::size_t size) noexcept {
  hz3::release(block, {.bytes = size});
}

HZ3_EXPORT void free_aligned_sized(void* block, std::size_t alignment, std::size_t size) noexcept {
  hz3::release(block, {.bytes = size, .alignment = alignment});
}

HZ3_EXPORT void* calloc(std::size_t count, std::size_t size) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return or_enomem(nullptr);
  return or_enomem(hz3::allocate_zeroed(bytes));
}

HZ3_EXPORT void* realloc(void* block, std::size_t size) noexcept { return resize(block, size); }

HZ3_EXPORT void* reallocarray(void* block, std::size_t count, std::size_t size) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return or_enomem(nullptr);
  return resize(block, bytes);
}

HZ3_EXPORT void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

HZ3_EXPORT void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

// Touches neither errno nor, on failure, *result.
HZ3_EXPORT int posix_memalign(void** result, std::size_t alignment, std::size_t size) noexcept {
  if (!hz3::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  if (size > hz3::kMaxRequestBytes) return ENOMEM;
  void* block = hz3::allocate_aligned(alignment, size);
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}

HZ3_EXPORT void* valloc(std::size_t size) noexcept {
  return aligned(hz3::os::system_page_bytes(), size);
}

HZ3_EXPORT void* pvalloc(std::size_t size) noexcept {
  const std::size_t page = hz3::os::system_page_bytes();
  if (size > hz3::kMaxRequestBytes - page) return or_enomem(nullptr);
  return aligned(page, hz3::align_up(size == 0 ? 1 : size, page));
}

HZ3_EXPORT std::size_t malloc_usable_size(void* block) noexcept { return hz3::usable_size(block); }

// Old programs and some static libraries call these names of glibc.
HZ3_EXPORT void* __libc_malloc(std::size_t size) noexcept { return or_enomem(allocate(size)); }
HZ3_EXPORT void __libc_free(void* block) noexcept { hz3::release(block); }
// Left libc's headers with 2.26, but programs that were linked before still call it.
HZ3_EXPORT void cfree(void* block) noexcept { hz3::release(block); }
HZ3_EXPORT void* __libc_calloc(std::size_t count, std::size_t size) noexcept {
  return calloc(count, size);
}
HZ3_EXPORT void* __libc_realloc(void* block, std::size_t size) noexcept {
  return resize(block, size);
}
HZ3_EXPORT void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}
HZ3_EXPORT void* __libc_valloc(std::size_t size) noexcept { return valloc(size); }
HZ3_EXPORT void* __libc_pvalloc(std::size_t size) noexcept { return pvalloc(size); }
