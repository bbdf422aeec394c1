// The C++ array operators of whatever library provides them in this process. The programs link
// without libstdc++, so that only a preloaded (or otherwise loaded) library can define the
// operators; its definitions are called directly, like in any C++ program. Where nobody defines
// them, malloc and free serve, which is all that libstdc++'s own do. Any thread may call them.
#pragma once

#include <stdlib.h>

#include <cstddef>

// Weak references under the mangled names: the dynamic linker leaves a null address where no loaded
// object has a definition, and nothing gets linked in for their sake.
extern "C" {
[[gnu::weak]] void* weak_array_new(std::size_t size) __asm__("_Znam");
[[gnu::weak]] void weak_array_delete(void* block) __asm__("_ZdaPv");
[[gnu::weak]] void weak_array_delete_sized(void* block, std::size_t size) __asm__("_ZdaPvm");
}

namespace workload {

inline void* array_new(std::size_t size) {
  return weak_array_new != nullptr ? weak_array_new(size) : malloc(size);
}

inline void array_delete(void* block) {
  if (weak_array_delete != nullptr) {
    weak_array_delete(block);
  } else {
    free(block);
  }
}

inline void array_delete_sized(void* block, std::size_t size) {
  if (weak_array_delete_sized != nullptr) {
    weak_array_delete_sized(block, size);
  } else {
    array_delete(block);
  }
}

}  // namespace workload
