// Writes one JSON object into a fixed buffer, without the heap. One thread owns a writer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace workload {

// Fields come out in call order. The closing braces are the caller's duty; finite numbers only
// (others come out as null). A result that does not fit ends the program.
class JsonWriter {
 public:
  JsonWriter() = default;
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  void open_object(const char* key = nullptr);
  void close_object();
  void open_array(const char* key);
  void close_array();

  void field(const char* key, std::uint64_t value);
  void field(const char* key, double value);
  void field(const char* key, const char* value);
  void field(const char* key, bool value);
  void element(std::uint64_t value);

  // Ends the line; the text stays valid as long as the writer.
  void end_line();
  [[nodiscard]] const char* text() const { return buffer_; }
  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  void separate();
  void start_field(const char* key);
  void append(const char* text);
  void append(char letter);
  void append_string(const char* text);

  char buffer_[32 * 1024] = {};
  std::size_t used_ = 0;
  bool needs_comma_ = false;
};

}  // namespace workload
