// When to observe, and where the account goes.
#include "observe/requests.h"

#include <atomic>
#include <cstdlib>

#include "base/fatal.h"
#include "hz3/hz3.h"
#include "observe/all_locks.h"
#include "observe/observe.h"
#include "os/files.h"
#include "os/memory.h"
#include "os/standard_error.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr unsigned kPathBytes = 1024;
constexpr int kStderr = 2;
constexpr unsigned kExitPatience = static_cast<unsigned>(AllLocks::Patience::kSecond);

// A copy: programs overwrite their environment to change their name in process lists.
constinit char file_pattern[kPathBytes] = {};
// relaxed: only who sets it goes on, nothing is published through it
constinit std::atomic<bool> observing{false};

class Path {
 public:
  void add(const char* text) {
    while (*text != '\0') add(*text++);
  }
  void add(char c) {
    if (length_ + 1 < kPathBytes) text_[length_++] = c;
  }
  const char* c_str() {
    text_[length_] = '\0';
    return text_;
  }

 private:
  char text_[kPathBytes];
  unsigned length_ = 0;
};

// Late in a process descriptor 2 may be a file of the program.
void say(Line* line) {
  if (os::standard_error_is_usable()) line->write_to_stderr();
}

int open_account(bool append) {
  if (file_pattern[0] == '\0') return kStderr;
  Path path;
  for (const char* from = file_pattern; *from != '\0'; ++from) {
    if (from[0] == '%' && from[1] == 'p') {
      Line digits;
      path.add(digits.number(os::process_id()).c_str());
      ++from;
    } else {
      path.add(*from);
    }
  }
  const int file = os::open_to_write(path.c_str(), append);
  if (file == os::kNoFile) {
    Line line;
    line.text("hz3: cannot write the observation to ").text(path.c_str());
    line.text(" (no such folder, or no permission); check HZ3_OBSERVE_FILE");
    say(&line);
  }
  return file;
}

void write_account(bool append) {
  const int file = open_account(append);
  if (file == os::kNoFile || (file == kStderr && !os::standard_error_is_usable())) return;
  const int result = observe_to(file);
  if (file != kStderr) os::close_file(file);
  if (result == HZ3_OK) return;
  Line line;
  line.text("hz3: the observation is not complete (");
  line.text(result == HZ3_NO_MEMORY ? "no memory" : "the file took only a part: is the disk full?");
  line.text(")");
  say(&line);
}

// A signal that comes while an observation is being made is dropped.
void on_signal(int) {
  if (observing.exchange(true, std::memory_order_relaxed)) return;
  write_account(true);
  observing.store(false, std::memory_order_relaxed);
}

ObserveMode mode() { return static_cast<ObserveMode>(knob(Knob::kObserve)); }

}  // namespace

void start_observing() {
  if (mode() == ObserveMode::kOff) return;
  const char* wanted = std::getenv("HZ3_OBSERVE_FILE");
  if (wanted != nullptr && __builtin_strlen(wanted) >= kPathBytes) {
    Line line;
    line.text("hz3: HZ3_OBSERVE_FILE is refused, the observation goes to stderr; allowed: up to ");
    line.number(kPathBytes - 1).text(" characters").write_to_stderr();
  } else if (wanted != nullptr) {
    __builtin_memcpy(file_pattern, wanted, __builtin_strlen(wanted) + 1);
  }
  if (mode() == ObserveMode::kSignal) os::on_request_signal(on_signal);
}

bool observation_is_asked_for() {
  return !os::is_secure_execution() && std::getenv("HZ3_OBSERVE") != nullptr;
}

void observe_at_exit() {
  if (mode() != ObserveMode::kExit) return;
  for (unsigned i = 0; observing.exchange(true, std::memory_order_relaxed) && i < kExitPatience;
       ++i) {
    os::wait_ns(AllLocks::kNapNs);
  }
  write_account(false);
  observing.store(false, std::memory_order_relaxed);
}

void settle_requests_in_child() { observing.store(false, std::memory_order_relaxed); }

}  // namespace hz3
