// A library whose constructor registers fork handlers that allocate. The dynamic linker runs it
// before constructors of preloaded libraries that nobody depends on.
#include <pthread.h>

#include <cstdlib>

namespace {

unsigned calls = 0;
void* held = nullptr;

void prepare() {
  ++calls;
  held = std::malloc(3000);
}

void release() {
  ++calls;
  std::free(held);
  std::free(std::malloc(100));
}

__attribute__((constructor)) void register_handlers() { pthread_atfork(prepare, release, release); }

}  // namespace

// Handlers of this library that have run in this process.
extern "C" __attribute__((visibility("default"))) unsigned library_handler_calls() { return calls; }
