// The command line of a workload program. Each parameter is declared once with its limits; from
// that come parsing, the --help text and the "args" object of the result. Used by the main thread
// only, before the work starts; no heap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "touch.h"

namespace workload {

class JsonWriter;

constexpr std::uint64_t kMaxThreads = 100'000;
constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 40U;
constexpr std::uint64_t kMaxBlockBytes = std::uint64_t{1} << 30U;
constexpr double kMaxSeconds = 1e6;

// What every program understands. `threads`, `seed` and `touch` start at the program's defaults.
struct CommonOptions {
  Touch touch = Touch::kNone;
  std::uint64_t threads = 1;
  std::uint64_t seed = 1;
  double seconds = 0;     // time limit; 0: the fixed amount of work decides
  double idle_s = 0;      // stay alive so long after the work
  double idle_calls = 0;  // malloc and free so often per second meanwhile
  bool latency = false;   // time single calls, sampled
};

// One parameter. Build it through Arguments; the setters return *this for chaining.
class Parameter {
 public:
  Parameter& letter(char value) {
    letter_ = value;
    return *this;
  }
  Parameter& alias(const char* value) {
    alias_ = value;
    return *this;
  }

 private:
  friend class Arguments;
  enum class Kind { kCount, kReal, kWord, kFlag };

  [[nodiscard]] bool answers_to(const char* name, std::size_t size) const;
  void set(const char* text) const;
  bool set_word(const char* text) const;
  void write_json(JsonWriter& json) const;

  const char* name_ = nullptr;
  const char* alias_ = nullptr;
  const char* help_ = nullptr;
  char letter_ = '\0';
  bool positional_ = false;
  Kind kind_ = Kind::kCount;
  double low_ = 0;
  double high_ = 0;
  const char* const* words_ = nullptr;
  std::size_t word_count_ = 0;
  void* value_ = nullptr;  // uint64_t, double, unsigned (index into words_) or bool, by kind_
};

class Arguments {
 public:
  // `name` and `summary` (one sentence) appear in --help and in messages.
  Arguments(const char* name, const char* summary, CommonOptions defaults);
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // Positional parameters, in order; each is an option --name as well.
  Parameter& positional(const char* name, std::uint64_t& value, std::uint64_t low,
                        std::uint64_t high, const char* help);
  Parameter& positional(const char* name, double& value, double low, double high, const char* help);
  template <std::size_t kCount>
  Parameter& positional(const char* name, unsigned& value, const char* const (&words)[kCount],
                        const char* help) {
    return add_words(true, name, value, words, kCount, help);
  }
  // Positional forms of two common options.
  Parameter& positional_threads();
  Parameter& positional_seed();

  // Options.
  Parameter& option(const char* name, std::uint64_t& value, std::uint64_t low, std::uint64_t high,
                    const char* help);
  template <std::size_t kCount>
  Parameter& option(const char* name, unsigned& value, const char* const (&words)[kCount],
                    const char* help) {
    return add_words(false, name, value, words, kCount, help);
  }
  Parameter& flag(const char* name, bool& value, const char* help);
  // The program can stop after a time instead of after a fixed amount of work.
  Parameter& option_seconds();

  // Reads the command line. --help prints and exits 0; a mistake prints one line and exits 2.
  void parse(int count, char** words);

  // Whether the command line set the parameter.
  [[nodiscard]] bool given(const char* name) const;

  // The touch mode of a variant of the workload, unless the command line chose one.
  void prefer_touch(Touch touch);

  // Exits 2 unless low <= high; for pairs such as min and max.
  static void require_order(const char* low_name, std::uint64_t low, const char* high_name,
                            std::uint64_t high);

  void write_json(JsonWriter& json) const;

  [[nodiscard]] const char* name() const { return name_; }
  CommonOptions common;

 private:
  static constexpr std::size_t kCapacity = 24;

  Parameter& add(bool positional, const char* name, Parameter::Kind kind, void* value,
                 const char* help);
  Parameter& add_words(bool positional, const char* name, unsigned& value, const char* const* words,
                       std::size_t count, const char* help);
  void add_common();
  [[nodiscard]] std::size_t find(const char* name, std::size_t size) const;
  [[nodiscard]] std::size_t find_letter(char letter) const;
  int take_option(int index, int count, char** words);
  std::size_t take_positional(std::size_t next, const char* text);
  [[noreturn]] void print_help() const;

  const char* name_;
  const char* summary_;
  Parameter parameters_[kCapacity];
  bool given_[kCapacity] = {};
  std::size_t parameter_count_ = 0;
  unsigned touch_index_ = 0;
};

}  // namespace workload
