// A library that tests open and close: its constructor, destructor and threads' local storage all
// allocate. Compiled once and copied where a test needs many of them.
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

void* from_constructor = nullptr;

__attribute__((constructor)) void on_open() { from_constructor = std::malloc(1234); }
__attribute__((destructor)) void on_close() { std::free(from_constructor); }

// Dynamic thread-local storage of a size that does not fit into the static surplus.
thread_local char local_bytes[4096];
thread_local std::string local_text;

}  // namespace

// Uses the module's thread-local storage, which the dynamic linker allocates at this moment;
// returns a block for the caller to free.
extern "C" __attribute__((visibility("default"))) void* module_work(std::size_t size) {
  std::memset(local_bytes, 1, sizeof local_bytes);
  local_text.assign(size % 500 + 1, 'm');
  void* block = std::malloc(size);
  if (block != nullptr) std::memset(block, local_bytes[0], size);
  return block;
}
