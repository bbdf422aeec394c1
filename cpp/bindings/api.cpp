// Looks up the C functions of libhz3.so. See api.h for who may call when.
#include "api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>

namespace hz3::bindings {
namespace {

Api table;
Origin found = Origin::kNone;

template <typename Function>
void resolve(void* library, const char* symbol, Function*& slot) {
  slot = reinterpret_cast<Function*>(dlsym(library, symbol));
  if (slot == nullptr) {
    throw std::runtime_error(std::string("libhz3.so has no function ") + symbol +
                             ": it is of another version than hz3py");
  }
}

Api resolve_all(void* library) {
  Api result;
  resolve(library, "hz3_version", result.version);

  resolve(library, "hz3_malloc", result.malloc);
  resolve(library, "hz3_calloc", result.calloc);
  resolve(library, "hz3_aligned_alloc", result.aligned_alloc);
  resolve(library, "hz3_free", result.free);
  resolve(library, "hz3_usable_size", result.usable_size);
  resolve(library, "hz3_good_size", result.good_size);
  resolve(library, "hz3_owns", result.owns);
  resolve(library, "hz3_trim", result.trim);

  resolve(library, "hz3_knob_count", result.knob_count);
  resolve(library, "hz3_knob_at", result.knob_at);
  resolve(library, "hz3_knob_get", result.knob_get);
  resolve(library, "hz3_knob_set_text", result.knob_set_text);

  resolve(library, "hz3_counter_count", result.counter_count);
  resolve(library, "hz3_counter_at", result.counter_at);
  resolve(library, "hz3_counters_read", result.counters_read);

  resolve(library, "hz3_stats_read", result.stats_read);
  resolve(library, "hz3_class_count", result.class_count);
  resolve(library, "hz3_class_stats_read", result.class_stats_read);

  resolve(library, "hz3_observe_write", result.observe_write);
  return result;
}

// The object that a function's address lies in.
Dl_info object_of(void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0) {
    throw std::runtime_error("the dynamic linker does not know where libhz3.so is mapped");
  }
  return info;
}

}  // namespace

Origin attach(const std::string& path) {
  if (found != Origin::kNone) {
    return found;
  }
  if (dlsym(RTLD_DEFAULT, "hz3_version") != nullptr) {
    table = resolve_all(RTLD_DEFAULT);
    found = Origin::kPreloaded;
    return found;
  }
  // RTLD_LOCAL: its malloc must not become the malloc of libraries loaded later.
  void* library = dlopen(path.c_str(), RTLD_LOCAL | RTLD_NOW);
  if (library == nullptr) {
    throw std::runtime_error(std::string("libhz3.so does not load: ") + dlerror());
  }
  table = resolve_all(library);
  found = Origin::kPrivate;
  return found;
}

Origin origin() { return found; }

const Api& api() {
  if (found == Origin::kNone) {
    throw std::runtime_error("no libhz3.so is attached; call attach(path) first");
  }
  return table;
}

std::string library_path() { return object_of(reinterpret_cast<void*>(api().version)).dli_fname; }

// Asked of a block: in an executable that is not position-independent, as Debian's python3, the
// address of malloc is one in the executable itself, whoever serves it.
bool serves_malloc() {
  void* block = std::malloc(1);
  const bool is_ours = api().owns(block) != 0;
  std::free(block);
  return is_ours;
}

}  // namespace hz3::bindings
