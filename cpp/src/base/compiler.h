// Attributes and hints that depend on the compiler.
//
// The one file outside os/ and entry/ that may test for a compiler or a CPU.
#pragma once

#define HZ3_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HZ3_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define HZ3_ALWAYS_INLINE inline __attribute__((always_inline))
#define HZ3_NOINLINE __attribute__((noinline))
// Without a section of its own it would come to lie among the cold functions; see os/image.h.
#define HZ3_HOT __attribute__((hot, aligned(64), section(".text.hit")))
#define HZ3_COLD __attribute__((noinline, cold))

// For code that looks at the plain variables of other threads and can live with what it finds.
#define HZ3_RACY __attribute__((no_sanitize("thread")))

// A small variable of a file whose large table lies beside it: in the one page with all others of
// its kind, where it does not make a page of its own resident.
#define HZ3_SMALL __attribute__((section(".data")))

// Static TLS without a call: the library is preloaded or takes at most 16 bytes
// from the surplus that the loader keeps for libraries opened later.
#define HZ3_TLS __attribute__((tls_model("initial-exec"))) thread_local

namespace hz3 {

// Which of the two builds this is. The checked build keeps books about every block that the program
// holds; a branch on this constant costs the other build nothing. Set by the build system.
inline constexpr bool kChecked = HZ3_CHECKED != 0;

// Tells the core that this is a waiting loop.
HZ3_ALWAYS_INLINE void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace hz3
