// What a walk over the allocator's structures finds: how many contradictions, and the first.
#pragma once

#include <cstdint>

#include "base/compiler.h"

namespace hz3 {

class Audit {
 public:
  // Counts a violation unless `holds`. `what` says what should be; `where` is an address or index.
  void expect(bool holds, const char* what, std::uintptr_t where) {
    if (HZ3_LIKELY(holds)) return;
    if (violations_++ != 0) return;
    what_ = what;
    where_ = where;
  }
  void expect(bool holds, const char* what, const void* where) {
    expect(holds, what, reinterpret_cast<std::uintptr_t>(where));
  }

  unsigned violations() const { return violations_; }
  const char* what() const { return what_; }
  std::uintptr_t where() const { return where_; }

 private:
  unsigned violations_ = 0;
  const char* what_ = "";
  std::uintptr_t where_ = 0;
};

}  // namespace hz3
