// Writes far behind the end of a block that lies in a mapping of its own, below one of the
// allocator's: with a limit on its address space, a process gets large blocks that way.
//
// Prints the line of /proc/self/maps about what lies behind the block. Ends with status 3 when the
// first byte behind the block could be written.
#include <fcntl.h>
#include <sys/resource.h>

#include <cinttypes>

#include "support/heap.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr int kNotStopped = 3;
constexpr std::size_t kBlockBytes = 1'000'000;

// Finds the mapping of the block and prints the one that starts where it ends. Returns its start.
char* say_what_is_behind(const char* block) {
  static char text[1 << 18];
  const int file = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  std::size_t length = 0;
  for (ssize_t got = 0; (got = ::read(file, text + length, sizeof text - 1 - length)) > 0;) {
    length += static_cast<std::size_t>(got);
  }
  ::close(file);
  std::uintptr_t end = 0;
  for (char* line = text; *line != '\0';) {
    char* next = std::strchr(line, '\n');
    CHECK(next != nullptr);
    *next = '\0';
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    CHECK_EQ(std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to), 2);
    if (end != 0) {
      hz3test::say(1, "%s %s\n", from == end ? "behind" : "apart", line);
      return reinterpret_cast<char*>(end);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    if (from <= address && address < to) end = to;
    line = next + 1;
  }
  hz3test::fail(__FILE__, __LINE__, "the block is in no mapping");
}

}  // namespace

int main() {
  const rlimit no_core{0, 0};
  CHECK_EQ(::setrlimit(RLIMIT_CORE, &no_core), 0);
  auto* block = static_cast<char*>(heap::malloc(kBlockBytes));
  CHECK(block != nullptr);
  char* behind = say_what_is_behind(block);
  *hz3test::opaque(behind) = 0;
  return kNotStopped;
}
