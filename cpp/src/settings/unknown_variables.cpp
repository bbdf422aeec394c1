// Names that are no knobs: which of them are known, and which knob was meant. No allocation.
#include "settings/unknown_variables.h"

#include <unistd.h>

#include <cstring>

#include "base/bits.h"
#include "base/fatal.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr unsigned kMostLines = 3;
constexpr std::size_t kPrefix = 4;         // HZ3_
constexpr std::size_t kMostCompared = 48;  // letters; the longest name of a knob has 28
constexpr std::size_t kMostShown = 64;

struct OtherVariable {
  const char* name;
  bool steers;  // the allocator reads it: worth naming to someone who misspelt it
};

// Whoever reads a further HZ3_* variable adds it here, or every process complains about it.
constexpr OtherVariable kOtherVariables[] = {
    {"HZ3_OBSERVE_FILE", true},
    // the toolkit and the benchmark programs
    {"HZ3_DEV_BUILD", false},
    {"HZ3_PHASE_FD", false},
    // the test suite
    {"HZ3_BIN_DIR", false},
    {"HZ3_LIBRARY", false},
    {"HZ3_TEST_BUILD", false},
    {"HZ3_TEST_LIBRARY", false},
    {"HZ3_TEST_LIMITED", false},
    {"HZ3_TEST_SEED", false},
    {"HZ3_WORKLOADS_DIR", false},
};

constinit unsigned lines_left = kMostLines;

// Letters to insert, leave out or replace until `a` is `b`: the usual table, of which one row is
// kept. Both are at most kMostCompared long. Setting bit 5 takes the case out of letters and keeps
// all else apart that names consist of.
std::size_t difference(const char* a, std::size_t a_length, const char* b, std::size_t b_length) {
  std::size_t row[kMostCompared + 1];
  for (std::size_t j = 0; j <= b_length; ++j) row[j] = j;
  for (std::size_t i = 1; i <= a_length; ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b_length; ++j) {
      const std::size_t above = row[j];
      const bool same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20);
      row[j] = min_of(min_of(above, row[j - 1]) + 1, diagonal + (same ? 0 : 1));
      diagonal = above;
    }
  }
  return row[b_length];
}

class Nearest {
 public:
  Nearest(const char* name, std::size_t length) : name_(name), length_(length) {}

  void consider(const char* candidate) {
    const std::size_t length = std::strlen(candidate) - kPrefix;
    if (length > kMostCompared) return;
    const std::size_t found = difference(name_, length_, candidate + kPrefix, length);
    if (found * 3 > max_of(length, length_) || found >= least_) return;
    least_ = found;
    variable_ = candidate;
  }
  const char* variable() const { return variable_; }

 private:
  const char* name_;
  std::size_t length_;
  std::size_t least_ = kMostCompared;
  const char* variable_ = nullptr;
};

bool is_named(const char* entry, std::size_t length, const char* name) {
  return std::strlen(name) == length && std::strncmp(entry, name, length) == 0;
}

bool is_other_variable(const char* entry, std::size_t length) {
  for (const OtherVariable& other : kOtherVariables) {
    if (is_named(entry, length, other.name)) return true;
  }
  return false;
}

// An environment may hold a name twice.
bool stood_before(char** entry, std::size_t length) {
  for (char** earlier = environ; earlier != entry; ++earlier) {
    if (std::strncmp(*earlier, *entry, length + 1) == 0) return true;
  }
  return false;
}

// A name may be of any length and hold anything but '=': what is shown stays one line.
void add_name(const char* name, std::size_t length, Line* line) {
  char shown[kMostShown + 1];
  const std::size_t end = min_of(length, kMostShown);
  for (std::size_t i = 0; i < end; ++i) {
    shown[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
  }
  shown[end] = '\0';
  line->text(shown).text(length > end ? "..." : "");
}

}  // namespace

const char* nearest_variable(const char* name, std::size_t length) {
  if (length > kPrefix + kMostCompared) return nullptr;
  Nearest nearest(name + kPrefix, length - kPrefix);
  for (const hz3_knob_info& info : knob_table) nearest.consider(info.env);
  for (const OtherVariable& other : kOtherVariables) {
    if (other.steers) nearest.consider(other.name);
  }
  return nearest.variable();
}

void report_unknown_variable(char** entry) {
  const std::size_t length = static_cast<std::size_t>(std::strchr(*entry, '=') - *entry);
  if (lines_left == 0 || is_other_variable(*entry, length) || stood_before(entry, length)) return;
  --lines_left;
  Line line;
  line.text("hz3: ");
  add_name(*entry, length, &line);
  line.text(" is no knob and has no effect; ");
  if (const char* meant = nearest_variable(*entry, length)) {
    line.text("did you mean ").text(meant).text("? ");
  }
  line.text("`hz3 knobs` lists them all");
  line.write_to_stderr();
}

}  // namespace hz3
