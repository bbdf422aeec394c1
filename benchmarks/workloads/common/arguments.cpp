// Declares, parses and describes command-line parameters. See arguments.h.
#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fatal.h"
#include "json.h"

namespace workload {
namespace {

constexpr std::size_t kNotFound = static_cast<std::size_t>(-1);

[[gnu::format(printf, 1, 2)]] void print(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  const auto bytes = static_cast<std::size_t>(std::max(size, 0));
  write_all(STDOUT_FILENO, line, std::min(bytes, sizeof(line) - 1));
}

bool looks_like_option(const char* text) {
  return text[0] == '-' && text[1] != '\0' && (text[1] < '0' || text[1] > '9');
}

}  // namespace

bool Parameter::answers_to(const char* name, std::size_t size) const {
  const auto same = [&](const char* candidate) {
    return candidate != nullptr && std::strlen(candidate) == size &&
           std::memcmp(candidate, name, size) == 0;
  };
  return same(name_) || same(alias_);
}

bool Parameter::set_word(const char* text) const {
  for (std::size_t i = 0; i < word_count_; ++i) {
    if (std::strcmp(words_[i], text) == 0) {
      *static_cast<unsigned*>(value_) = static_cast<unsigned>(i);
      return true;
    }
  }
  return false;
}

void Parameter::set(const char* text) const {
  if (kind_ == Kind::kWord) {
    if (set_word(text)) return;
    char choices[128] = "";
    for (std::size_t i = 0, used = 0; i < word_count_ && used < sizeof(choices); ++i) {
      used += static_cast<std::size_t>(
          snprintf(choices + used, sizeof(choices) - used, "%s%s", i == 0 ? "" : ", ", words_[i]));
    }
    usage_error("%s: '%s' is not one of %s", name_, text, choices);
  }
  char* end = nullptr;
  errno = 0;
  double value = 0;
  if (kind_ == Kind::kCount) {
    const bool digits_first = text[0] >= '0' && text[0] <= '9';
    const std::uint64_t count = strtoull(text, &end, 0);
    if (!digits_first || *end != '\0' || errno != 0) {
      usage_error("%s: '%s' is not a whole number (try --help)", name_, text);
    }
    value = static_cast<double>(count);
    if (value >= low_ && value <= high_) *static_cast<std::uint64_t*>(value_) = count;
  } else {
    value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value)) {
      usage_error("%s: '%s' is not a number (try --help)", name_, text);
    }
    if (value >= low_ && value <= high_) *static_cast<double*>(value_) = value;
  }
  if (value < low_ || value > high_) {
    usage_error("%s: %s is outside %.15g to %.15g", name_, text, low_, high_);
  }
}

void Parameter::write_json(JsonWriter& json) const {
  char key[32];
  std::size_t size = 0;
  for (; name_[size] != '\0' && size + 1 < sizeof(key); ++size) {
    key[size] = name_[size] == '-' ? '_' : name_[size];
  }
  key[size] = '\0';
  switch (kind_) {
    case Kind::kCount:
      json.field(key, *static_cast<const std::uint64_t*>(value_));
      break;
    case Kind::kReal:
      json.field(key, *static_cast<const double*>(value_));
      break;
    case Kind::kWord:
      json.field(key, words_[*static_cast<const unsigned*>(value_)]);
      break;
    case Kind::kFlag:
      json.field(key, *static_cast<const bool*>(value_));
      break;
  }
}

Arguments::Arguments(const char* name, const char* summary, CommonOptions defaults)
    : common(defaults),
      name_(name),
      summary_(summary),
      touch_index_(static_cast<unsigned>(defaults.touch)) {
  set_program_name(name);
}

Parameter& Arguments::add(bool positional, const char* name, Parameter::Kind kind, void* value,
                          const char* help) {
  if (parameter_count_ == kCapacity) fatal("more than %zu parameters declared", kCapacity);
  Parameter& parameter = parameters_[parameter_count_++];
  parameter.positional_ = positional;
  parameter.name_ = name;
  parameter.kind_ = kind;
  parameter.value_ = value;
  parameter.help_ = help;
  return parameter;
}

Parameter& Arguments::positional(const char* name, std::uint64_t& value, std::uint64_t low,
                                 std::uint64_t high, const char* help) {
  Parameter& parameter = add(true, name, Parameter::Kind::kCount, &value, help);
  parameter.low_ = static_cast<double>(low);
  parameter.high_ = static_cast<double>(high);
  return parameter;
}

Parameter& Arguments::positional(const char* name, double& value, double low, double high,
                                 const char* help) {
  Parameter& parameter = add(true, name, Parameter::Kind::kReal, &value, help);
  parameter.low_ = low;
  parameter.high_ = high;
  return parameter;
}

Parameter& Arguments::positional_threads() {
  return positional("threads", common.threads, 1, kMaxThreads, "worker threads");
}

Parameter& Arguments::positional_seed() {
  return positional("seed", common.seed, 0, UINT32_MAX, "seed of the random numbers");
}

Parameter& Arguments::option(const char* name, std::uint64_t& value, std::uint64_t low,
                             std::uint64_t high, const char* help) {
  Parameter& parameter = positional(name, value, low, high, help);
  parameter.positional_ = false;
  return parameter;
}

Parameter& Arguments::add_words(bool positional, const char* name, unsigned& value,
                                const char* const* words, std::size_t count, const char* help) {
  Parameter& parameter = add(positional, name, Parameter::Kind::kWord, &value, help);
  parameter.words_ = words;
  parameter.word_count_ = count;
  return parameter;
}

Parameter& Arguments::flag(const char* name, bool& value, const char* help) {
  return add(false, name, Parameter::Kind::kFlag, &value, help);
}

Parameter& Arguments::option_seconds() {
  Parameter& parameter = positional("seconds", common.seconds, 0, kMaxSeconds,
                                    "stop after this time, whatever work is left; 0: do it all");
  parameter.positional_ = false;
  return parameter;
}

void Arguments::add_common() {
  if (find("threads", 7) == kNotFound) positional_threads().positional_ = false;
  if (find("seed", 4) == kNotFound) positional_seed().positional_ = false;
  option("touch", touch_index_, kTouchWords, "what is written into a fresh block");
  positional("idle", common.idle_s, 0, kMaxSeconds, "seconds to stay alive after the work")
      .positional_ = false;
  positional("idle-calls", common.idle_calls, 0, 1e5, "malloc and free so often a second meanwhile")
      .positional_ = false;
  flag("latency", common.latency, "time single calls (sampled) and report percentiles");
}

std::size_t Arguments::find(const char* name, std::size_t size) const {
  for (std::size_t i = 0; i < parameter_count_; ++i) {
    if (parameters_[i].answers_to(name, size)) return i;
  }
  return kNotFound;
}

std::size_t Arguments::find_letter(char letter) const {
  for (std::size_t i = 0; i < parameter_count_; ++i) {
    if (parameters_[i].letter_ == letter) return i;
  }
  return kNotFound;
}

// Takes the option at words[index] and its value; returns the index of the last word used. Known
// forms: --name value, --name=value, -x value, -xvalue.
int Arguments::take_option(int index, int count, char** words) {
  const char* word = words[index];
  const bool is_long = word[1] == '-';
  const char* name = is_long ? word + 2 : word + 1;
  const std::size_t size = is_long ? std::strcspn(name, "=") : 1;
  const std::size_t found = is_long ? find(name, size) : find_letter(word[1]);
  if (found == kNotFound) usage_error("unknown option %s (try --help)", word);
  const Parameter& parameter = parameters_[found];
  given_[found] = true;

  const char* value = name + size;
  if (is_long && *value == '=') ++value;
  const bool attached = value != name + size || (!is_long && *value != '\0');
  if (parameter.kind_ == Parameter::Kind::kFlag) {
    if (attached) usage_error("%s takes no value", word);
    *static_cast<bool*>(parameter.value_) = true;
    return index;
  }
  if (attached) {
    parameter.set(value);
    return index;
  }
  if (index + 1 >= count) usage_error("%s needs a value (try --help)", word);
  parameter.set(words[index + 1]);
  return index + 1;
}

// Takes a positional word for parameter `next` or a later one: a word that names a choice may skip
// numbers before it ("random_mixed 1000 400 16 2048 app"). Returns where to go on.
std::size_t Arguments::take_positional(std::size_t next, const char* text) {
  while (next < parameter_count_ && !parameters_[next].positional_) ++next;
  for (std::size_t i = next; i < parameter_count_; ++i) {
    const Parameter& parameter = parameters_[i];
    if (parameter.positional_ && parameter.set_word(text)) {
      given_[i] = true;
      return i + 1;
    }
  }
  if (next == parameter_count_) usage_error("'%s' is one argument too many (try --help)", text);
  parameters_[next].set(text);
  given_[next] = true;
  return next + 1;
}

void Arguments::parse(int count, char** words) {
  add_common();
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--help") == 0 || std::strcmp(words[i], "-h") == 0) print_help();
  }
  std::size_t next = 0;
  for (int i = 1; i < count; ++i) {
    if (looks_like_option(words[i])) {
      i = take_option(i, count, words);
    } else {
      next = take_positional(next, words[i]);
    }
  }
  common.touch = static_cast<Touch>(touch_index_);
}

bool Arguments::given(const char* name) const {
  const std::size_t found = find(name, std::strlen(name));
  return found != kNotFound && given_[found];
}

void Arguments::prefer_touch(Touch touch) {
  if (given("touch")) return;
  common.touch = touch;
  touch_index_ = static_cast<unsigned>(touch);
}

void Arguments::require_order(const char* low_name, std::uint64_t low, const char* high_name,
                              std::uint64_t high) {
  if (low > high) {
    usage_error("%s (%llu) is above %s (%llu); swap or change them", low_name,
                static_cast<unsigned long long>(low), high_name,
                static_cast<unsigned long long>(high));
  }
}

void Arguments::write_json(JsonWriter& json) const {
  json.open_object("args");
  for (std::size_t i = 0; i < parameter_count_; ++i) parameters_[i].write_json(json);
  json.close_object();
}

void Arguments::print_help() const {
  print("%s", name_);
  for (std::size_t i = 0; i < parameter_count_; ++i) {
    if (parameters_[i].positional_) print(" [%s]", parameters_[i].name_);
  }
  print(" [options]\n%s\n\nEach argument may also be given as --name value.\n", summary_);
  for (std::size_t i = 0; i < parameter_count_; ++i) {
    const Parameter& parameter = parameters_[i];
    char names[64];
    int used = snprintf(names, sizeof(names), "--%s", parameter.name_);
    const auto extend = [&](const char* format, auto value) {
      const auto offset = static_cast<std::size_t>(used);
      used += snprintf(names + offset, sizeof(names) - offset, format, value);
    };
    if (parameter.alias_ != nullptr) extend(", --%s", parameter.alias_);
    if (parameter.letter_ != '\0') extend(", -%c", parameter.letter_);
    print("  %-22s %s", names, parameter.help_);
    switch (parameter.kind_) {
      case Parameter::Kind::kCount:
        print(" (%.15g to %.15g; default %llu)", parameter.low_, parameter.high_,
              static_cast<unsigned long long>(*static_cast<std::uint64_t*>(parameter.value_)));
        break;
      case Parameter::Kind::kReal:
        print(" (%.15g to %.15g; default %g)", parameter.low_, parameter.high_,
              *static_cast<double*>(parameter.value_));
        break;
      case Parameter::Kind::kWord:
        print(" (");
        for (std::size_t word = 0; word < parameter.word_count_; ++word) {
          print("%s%s", word == 0 ? "" : "|", parameter.words_[word]);
        }
        print("; default %s)", parameter.words_[*static_cast<unsigned*>(parameter.value_)]);
        break;
      case Parameter::Kind::kFlag:
        break;
    }
    print("\n");
  }
  print("  %-22s %s\n", "--help, -h", "this text");
  _exit(0);
}

}  // namespace workload
