// Messages and the end of the process; any thread, also while a lock is held.
#include "base/fatal.h"

#include <unistd.h>

#include <cstdlib>

#include "base/futex_lock.h"

namespace hz3 {

Line& Line::text(const char* value) {
  while (*value != '\0' && length_ < kCapacity) buffer_[length_++] = *value++;
  return *this;
}

Line& Line::number(unsigned long long value) {
  char digits[24];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count != 0 && length_ < kCapacity) buffer_[length_++] = digits[--count];
  return *this;
}

Line& Line::hex(unsigned long long value) {
  constexpr char kDigits[] = "0123456789abcdef";
  text("0x");
  int shift = 60;
  while (shift > 0 && (value >> shift) == 0) shift -= 4;
  for (; shift >= 0 && length_ < kCapacity; shift -= 4) {
    buffer_[length_++] = kDigits[(value >> shift) & 15];
  }
  return *this;
}

const char* Line::c_str() {
  buffer_[length_] = '\0';
  return buffer_;
}

void Line::write_to_stderr() {
  buffer_[length_++] = '\n';
  const ssize_t written = ::write(2, buffer_, length_);
  static_cast<void>(written);  // nothing can be done about a closed stderr
  length_ = 0;
}

void fatal(const char* what, const char* why, const char* code) {
  Line line;
  line.text("hz3: ").text(what).text(" (").text(why).text(") [").text(code).text("]");
  line.write_to_stderr();
  stop();
}

void stop() {
  pass_locks_to_the_end();
  std::abort();
}

}  // namespace hz3
