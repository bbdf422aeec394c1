// Characters, commas and the buffer.
#include "observe/json_writer.h"

#include "os/files.h"

namespace hz3 {

void JsonWriter::flush() {
  if (length_ != 0 && !os::write_file(file_, buffer_, length_)) failed_ = true;
  length_ = 0;
}

void JsonWriter::put(char c) {
  if (length_ == capacity_) flush();
  buffer_[length_++] = c;
}

void JsonWriter::put(const char* text) {
  while (*text != '\0') put(*text++);
}

void JsonWriter::separate() {
  if (comma_) put(',');
  comma_ = true;
}

JsonWriter& JsonWriter::key(const char* name) {
  text(name);
  put(':');
  comma_ = false;
  return *this;
}

void JsonWriter::open_object() {
  separate();
  put('{');
  comma_ = false;
}

void JsonWriter::close_object() {
  put('}');
  comma_ = true;
}

void JsonWriter::open_array() {
  separate();
  put('[');
  comma_ = false;
}

void JsonWriter::close_array() {
  put(']');
  comma_ = true;
}

void JsonWriter::number(std::uint64_t value) {
  separate();
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count != 0) put(digits[--count]);
}

void JsonWriter::truth(bool value) {
  separate();
  put(value ? "true" : "false");
}

void JsonWriter::text(const char* value, std::size_t length) {
  separate();
  put('"');
  for (std::size_t i = 0; i < length; ++i) put(value[i]);
  put('"');
}

void JsonWriter::text(const char* value) { text(value, __builtin_strlen(value)); }

bool JsonWriter::finish() {
  put('\n');
  flush();
  return !failed_;
}

}  // namespace hz3
