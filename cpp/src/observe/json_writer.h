// JSON to a file through a fixed buffer: objects, arrays, numbers, and texts of our own tables,
// which hold nothing that would need escaping. One line, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hz3 {

class JsonWriter {
 public:
  JsonWriter(int file, char* buffer, std::size_t buffer_bytes)
      : buffer_(buffer), capacity_(buffer_bytes), file_(file) {}

  // In an object each value follows its key; elsewhere there is none.
  JsonWriter& key(const char* name);
  void open_object();
  void close_object();
  void open_array();
  void close_array();
  void number(std::uint64_t value);
  void truth(bool value);
  void text(const char* value, std::size_t length);
  void text(const char* value);

  void field(const char* name, std::uint64_t value) { key(name).number(value); }

  // Ends the line. False when something could not be written.
  bool finish();

 private:
  void separate();
  void put(char c);
  void put(const char* text);
  void flush();

  char* buffer_;
  std::size_t capacity_;
  std::size_t length_ = 0;
  int file_;
  bool comma_ = false;  // a value stands before the next one
  bool failed_ = false;
};

}  // namespace hz3
