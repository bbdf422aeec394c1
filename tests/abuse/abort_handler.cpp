// A double free in a program whose handler of SIGABRT allocates, as those of crash reporters do. It
// is found while a batch returns to its spans, so in the midst of a section under a lock.
//
// Ends with status 7 when the handler got through.
#include <csignal>

#include "support/heap.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr int kHandled = 7;
constexpr std::size_t kSize = 1000;

void allocate_and_leave(int) {
  static void* blocks[300];
  for (void*& block : blocks) {
    block = heap::malloc(kSize);
    CHECK(block != nullptr);
  }
  for (void* block : blocks) heap::free(block);
  heap::free(heap::malloc(1'000'000));
  hz3test::say(1, "handled\n");
  ::_exit(kHandled);
}

}  // namespace

int main() {
  std::signal(SIGABRT, allocate_and_leave);
  void* block = heap::malloc(kSize);
  heap::free(block);
  heap::free(hz3test::opaque(block));
  if (auto* trim = hz3test::find_function<std::size_t()>("hz3_trim"); trim != nullptr) trim();
  return 0;
}
