// Who serves each function of the malloc family in this process: one line `name object` each.
#include <dlfcn.h>

#include "support/check.hpp"

namespace {

constexpr const char* kNames[] = {
    // The C family, C23 included.
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "free_sized",
    "free_aligned_sized",
    // What reports about or steers the heap.
    "mallinfo",
    "mallinfo2",
    "malloc_trim",
    "malloc_info",
    "malloc_stats",
    "mallopt",
    // Names that old tools and static libraries call.
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_valloc",
    "__libc_pvalloc",
    "__libc_mallinfo",
    "__libc_mallopt",
    "cfree",
    // operator new and new[]: plain, nothrow, aligned, aligned nothrow.
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    // operator delete and delete[]: plain, nothrow, sized, aligned, and the combinations.
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

}  // namespace

int main() {
  for (const char* name : kNames) {
    void* address = ::dlsym(RTLD_DEFAULT, name);
    Dl_info information{};
    const bool found = address != nullptr && ::dladdr(address, &information) != 0;
    hz3test::say(1, "%s %s\n", name, found ? information.dli_fname : "-");
  }
  return 0;
}
