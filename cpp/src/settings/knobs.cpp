// Finding and setting knobs, and the parser of their texts. No allocation, no locale.
#include "settings/knobs.h"

#include <unistd.h>

#include <cstring>

#include "base/bits.h"
#include "base/fatal.h"
#include "os/memory.h"
#include "settings/unknown_variables.h"

namespace hz3 {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equals_ignoring_case(const char* text, std::size_t length, const char* word) {
  if (std::strlen(word) != length) return false;
  for (std::size_t i = 0; i < length; ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return true;
}

// 10, 64k, 2 MiB -> number; nothing else. False also when it does not fit 63 bits.
bool parse_number(const char* text, std::size_t length, bool with_suffix, std::int64_t* value) {
  std::size_t i = 0;
  std::uint64_t number = 0;
  while (i < length && is_digit(text[i])) {
    if (number > (std::uint64_t{1} << 60)) return false;
    number = number * 10 + static_cast<std::uint64_t>(text[i] - '0');
    ++i;
  }
  if (i == 0) return false;
  if (i < length && with_suffix) {
    unsigned shift = 0;
    switch (lower(text[i])) {
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      case 't':
        shift = 40;
        break;
      default:
        return false;
    }
    ++i;
    if (i < length && lower(text[i]) == 'i') ++i;
    if (i < length && lower(text[i]) == 'b') ++i;
    if (number > (std::uint64_t{1} << (62 - shift))) return false;
    number <<= shift;
  }
  if (i != length || number > (std::uint64_t{1} << 62)) return false;
  *value = static_cast<std::int64_t>(number);
  return true;
}

bool parse_choice(const char* text, std::size_t length, const char* choices, std::int64_t* value) {
  std::int64_t index = 0;
  for (const char* word = choices; *word != '\0'; ++index) {
    const char* end = word;
    while (*end != '\0' && *end != '|') ++end;
    if (static_cast<std::size_t>(end - word) == length && std::strncmp(word, text, length) == 0) {
      *value = index;
      return true;
    }
    word = *end == '|' ? end + 1 : end;
  }
  return false;
}

bool parse_bool(const char* text, std::size_t length, std::int64_t* value) {
  for (const char* word : {"1", "on", "true", "yes"}) {
    if (equals_ignoring_case(text, length, word)) return *value = 1, true;
  }
  for (const char* word : {"0", "off", "false", "no"}) {
    if (equals_ignoring_case(text, length, word)) return *value = 0, true;
  }
  return false;
}

bool parse(const hz3_knob_info& info, const char* text, std::int64_t* value) {
  while (is_space(*text)) ++text;
  std::size_t length = std::strlen(text);
  while (length != 0 && is_space(text[length - 1])) --length;
  switch (info.type) {
    case HZ3_KNOB_BOOL:
      return parse_bool(text, length, value);
    case HZ3_KNOB_CHOICE:
      return parse_choice(text, length, info.choices, value);
    case HZ3_KNOB_BYTES:
      return parse_number(text, length, true, value);
    case HZ3_KNOB_INT:
      return parse_number(text, length, false, value);
  }
  return false;
}

void describe_allowed(const hz3_knob_info& info, Line* line) {
  switch (info.type) {
    case HZ3_KNOB_BOOL:
      line->text("allowed: 0 or 1");
      break;
    case HZ3_KNOB_CHOICE:
      line->text("allowed: ").text(info.choices);
      break;
    default:
      line->text("allowed: ").number(static_cast<unsigned long long>(info.min_value));
      line->text(" to ").number(static_cast<unsigned long long>(info.max_value));
      if (info.unit[0] != '\0') line->text(" ").text(info.unit);
      if (info.type == HZ3_KNOB_BYTES) line->text(", with K, M, G or T");
  }
}

void copy_message(Line* line, char* message, std::size_t message_bytes) {
  if (message == nullptr || message_bytes == 0) return;
  const char* text = line->c_str();
  const std::size_t length = min_of(std::strlen(text), message_bytes - 1);
  std::memcpy(message, text, length);
  message[length] = '\0';
}

bool in_range(const hz3_knob_info& info, std::int64_t value) {
  return value >= info.min_value && value <= info.max_value;
}

void store(std::size_t index, std::int64_t value) {
  detail::knob_values.of[index].store(value, std::memory_order_relaxed);
}

// The knob with this variable, or kKnobCount.
std::size_t index_of_variable(const char* name, std::size_t length) {
  std::size_t index = 0;
  while (index < kKnobCount && (std::strlen(knob_table[index].env) != length ||
                                std::strncmp(knob_table[index].env, name, length) != 0)) {
    ++index;
  }
  return index;
}

void set_or_refuse(std::size_t index, const char* text) {
  const hz3_knob_info& info = knob_table[index];
  std::int64_t value = 0;
  if (parse(info, text, &value) && in_range(info, value)) {
    store(index, value);
    return;
  }
  Line line;
  line.text("hz3: ").text(info.env).text("='").text(text);
  line.text("' is refused, the default stays; ");
  describe_allowed(info, &line);
  line.write_to_stderr();
}

// Under the lock of booting. A boot that fails for want of memory is tried again.
constinit bool environment_was_read = false;

}  // namespace

const hz3_knob_info* knob_info(std::size_t index) {
  return index < kKnobCount ? &knob_table[index] : nullptr;
}

int find_knob(const char* name, std::size_t* index) {
  if (name == nullptr) return HZ3_UNKNOWN_NAME;
  for (std::size_t i = 0; i < kKnobCount; ++i) {
    if (std::strcmp(knob_table[i].name, name) == 0) {
      *index = i;
      return HZ3_OK;
    }
  }
  return HZ3_UNKNOWN_NAME;
}

int set_knob(const char* name, std::int64_t value) {
  std::size_t index = 0;
  if (const int refused = find_knob(name, &index); refused != HZ3_OK) return refused;
  if ((knob_table[index].flags & HZ3_KNOB_AT_START) != 0) return HZ3_ONLY_AT_START;
  if (!in_range(knob_table[index], value)) return HZ3_OUT_OF_RANGE;
  store(index, value);
  return HZ3_OK;
}

int set_knob_from_text(const char* name, const char* text, char* message,
                       std::size_t message_bytes) {
  Line line;
  std::size_t index = 0;
  int result = find_knob(name, &index);
  if (result != HZ3_OK) {
    line.text("there is no knob '").text(name == nullptr ? "" : name).text("'");
  } else {
    std::int64_t value = 0;
    const hz3_knob_info& info = knob_table[index];
    if ((info.flags & HZ3_KNOB_AT_START) != 0) {
      result = HZ3_ONLY_AT_START;
      line.text(info.name).text(" can only be set at start, through ").text(info.env);
    } else if (text == nullptr || !parse(info, text, &value)) {
      result = HZ3_NOT_A_VALUE;
      line.text(info.name).text(": '").text(text == nullptr ? "" : text).text("' is not a value; ");
      describe_allowed(info, &line);
    } else if (!in_range(info, value)) {
      result = HZ3_OUT_OF_RANGE;
      line.text(info.name).text(": ").text(text).text(" is out of range; ");
      describe_allowed(info, &line);
    } else {
      store(index, value);
    }
  }
  copy_message(&line, message, message_bytes);
  return result;
}

void read_knobs_from_environment() {
  if (environment_was_read || environ == nullptr || os::is_secure_execution()) return;
  environment_was_read = true;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "HZ3_", 4) != 0) continue;
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr) continue;
    const auto name_length = static_cast<std::size_t>(equals - *entry);
    const std::size_t index = index_of_variable(*entry, name_length);
    if (index == kKnobCount) {
      report_unknown_variable(entry);
    } else {
      set_or_refuse(index, equals + 1);
    }
  }
}

}  // namespace hz3
