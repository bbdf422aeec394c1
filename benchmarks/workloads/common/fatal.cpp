// Early ends with one line on stderr. See fatal.h.
#include "fatal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

namespace workload {
namespace {

const char* program_name = "workload";

[[noreturn]] void end_with_line(int status, const char* format, va_list arguments) {
  char line[1024];
  const int head = snprintf(line, sizeof(line), "%s: ", program_name);
  std::size_t used = static_cast<std::size_t>(std::max(head, 0));
  const int body = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
  used = std::min(used + static_cast<std::size_t>(std::max(body, 0)), sizeof(line) - 2);
  line[used++] = '\n';
  write_all(STDERR_FILENO, line, used);
  _exit(status);
}

}  // namespace

void set_program_name(const char* name) { program_name = name; }

void fatal(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  end_with_line(1, format, arguments);
}

void usage_error(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  end_with_line(2, format, arguments);
}

bool write_all(int descriptor, const char* text, unsigned long size) {
  while (size > 0) {
    const ssize_t written = write(descriptor, text, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    text += written;
    size -= static_cast<unsigned long>(written);
  }
  return true;
}

}  // namespace workload
