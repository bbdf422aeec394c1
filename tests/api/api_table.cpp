// The API table: calls every allocation function with generated arguments and prints each outcome.
// The driver runs it under two allocators and compares the lines.
#include "api/table.hpp"

#include "support/process.hpp"

namespace hz3test {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
constexpr std::size_t kLineBytes = 512;

struct Rows {
  char* buffer = nullptr;
  std::size_t used = 0;
  std::size_t count = 0;

  void append(const char* format, va_list arguments) {
    if (buffer == nullptr) buffer = map_zeroed<char>(kBufferBytes);
    if (kBufferBytes - used < kLineBytes) Table::flush();
    const int length = std::vsnprintf(buffer + used, kLineBytes, format, arguments);
    CHECK(length >= 0 && static_cast<std::size_t>(length) < kLineBytes);
    used += static_cast<std::size_t>(length);
  }
};

Rows rows;

}  // namespace

void Table::begin(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  rows.append(format, arguments);
  va_end(arguments);
  add(" -> ");
}

void Table::add(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  rows.append(format, arguments);
  va_end(arguments);
}

void Table::end() {
  add("\n");
  ++rows.count;
}

void Table::flush() {
  write_all(1, rows.buffer, rows.used);
  rows.used = 0;
}

std::size_t Table::row_count() { return rows.count; }

}  // namespace hz3test

int main() {
  using hz3test::Table;
  hz3test::add_c_rows();
  hz3test::add_realloc_rows();
  hz3test::add_aligned_rows();
  hz3test::add_operator_rows();
  hz3test::add_libc_rows();
  Table::flush();
  hz3test::say(2, "%zu rows\n", Table::row_count());
  return 0;
}
