// The JSON writer. See json.h.
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "fatal.h"

namespace workload {

void JsonWriter::open_object(const char* key) {
  if (key != nullptr) {
    start_field(key);
  } else {
    separate();
  }
  append('{');
  needs_comma_ = false;
}

void JsonWriter::close_object() {
  append('}');
  needs_comma_ = true;
}

void JsonWriter::open_array(const char* key) {
  start_field(key);
  append('[');
  needs_comma_ = false;
}

void JsonWriter::close_array() {
  append(']');
  needs_comma_ = true;
}

void JsonWriter::field(const char* key, std::uint64_t value) {
  start_field(key);
  needs_comma_ = false;
  element(value);
}

void JsonWriter::field(const char* key, double value) {
  start_field(key);
  char text[40] = "null";
  if (isfinite(value)) snprintf(text, sizeof(text), "%.9g", value);
  append(text);
  needs_comma_ = true;
}

void JsonWriter::field(const char* key, const char* value) {
  start_field(key);
  append_string(value);
  needs_comma_ = true;
}

void JsonWriter::field(const char* key, bool value) {
  start_field(key);
  append(value ? "true" : "false");
  needs_comma_ = true;
}

void JsonWriter::element(std::uint64_t value) {
  separate();
  char text[24];
  snprintf(text, sizeof(text), "%" PRIu64, value);
  append(text);
  needs_comma_ = true;
}

void JsonWriter::end_line() { append('\n'); }

void JsonWriter::separate() {
  if (needs_comma_) append(',');
}

void JsonWriter::start_field(const char* key) {
  separate();
  append_string(key);
  append(':');
}

void JsonWriter::append(const char* text) {
  while (*text != '\0') append(*text++);
}

void JsonWriter::append(char letter) {
  if (used_ + 1 >= sizeof(buffer_)) fatal("the result line is longer than %zu bytes", used_);
  buffer_[used_++] = letter;
}

void JsonWriter::append_string(const char* text) {
  append('"');
  for (; *text != '\0'; ++text) {
    const auto letter = static_cast<unsigned char>(*text);
    if (letter == '"' || letter == '\\') {
      append('\\');
      append(*text);
    } else if (letter < 0x20) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\u%04x", letter);
      append(escape);
    } else {
      append(*text);
    }
  }
  append('"');
}

}  // namespace workload
