// How the allocator stops: one line through write(2), then abort(). Never allocates.
#pragma once

#include <cstddef>

#include "base/compiler.h"

namespace hz3 {

// Prints "hz3: <what> (<why>) [<code>]" and aborts. SECURITY.md lists the codes.
[[noreturn]] HZ3_COLD void fatal(const char* what, const char* why, const char* code);

// Aborts. Any thread, also under a lock: a handler of the program may allocate.
[[noreturn]] HZ3_COLD void stop();

// Builds one line in a buffer on the stack; what does not fit is cut. Used for every message that
// the library writes itself.
class Line {
 public:
  Line& text(const char* value);
  Line& number(unsigned long long value);
  Line& hex(unsigned long long value);
  // Adds the newline and writes the line to file descriptor 2 with one call.
  void write_to_stderr();
  const char* c_str();

 private:
  static constexpr std::size_t kCapacity = 480;
  char buffer_[kCapacity + 2];
  std::size_t length_ = 0;
};

}  // namespace hz3
