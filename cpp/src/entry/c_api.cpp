// The C API of hz3.h.
#include <cerrno>

#include "base/bits.h"
#include "entry/allocate.h"
#include "entry/thread_state.h"
#include "hz3/hz3.h"
#include "observe/gauges.h"
#include "observe/observe.h"
#include "settings/counters.h"
#include "settings/knobs.h"

namespace {

template <class T>
bool is_struct_size(const T& value) {
  return value.struct_bytes >= sizeof(std::size_t) && value.struct_bytes <= 64 * sizeof(T);
}

// Copies as much as the caller's structure has room for and keeps its size field.
template <class T>
int copy_out(const T& from, T* to) {
  const std::size_t bytes = to->struct_bytes;
  if (!is_struct_size(*to)) return HZ3_NOT_A_VALUE;
  const std::size_t copied = hz3::min_of(bytes, sizeof(T));
  __builtin_memcpy(to, &from, copied);
  to->struct_bytes = bytes;
  return HZ3_OK;
}

void* or_enomem(void* block) {
  if (block == nullptr) errno = ENOMEM;
  return block;
}

}  // namespace

extern "C" {

const char* hz3_version(void) { return HZ3_VERSION; }

void* hz3_malloc(size_t size) { return or_enomem(hz3::allocate(size)); }

void* hz3_calloc(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return or_enomem(nullptr);
  return or_enomem(hz3::allocate_zeroed(bytes));
}

void* hz3_realloc(void* ptr, size_t size) {
  if (ptr == nullptr) return hz3_malloc(size);
  if (size == 0) {
    hz3::release(ptr);
    return nullptr;
  }
  return or_enomem(hz3::reallocate(ptr, size));
}

void* hz3_aligned_alloc(size_t alignment, size_t size) {
  if (!hz3::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  if (size > hz3::kMaxRequestBytes) return or_enomem(nullptr);
  return or_enomem(hz3::allocate_aligned(alignment, size));
}

void hz3_free(void* ptr) { hz3::release(ptr); }
size_t hz3_usable_size(const void* ptr) { return hz3::usable_size(ptr); }
size_t hz3_good_size(size_t size) { return hz3::good_size(size); }
int hz3_owns(const void* ptr) { return hz3::is_live_block(ptr) ? 1 : 0; }
size_t hz3_trim(void) { return hz3::trim_everything(); }

size_t hz3_check_heap(void) { return hz3::check_everything(); }

size_t hz3_knob_count(void) { return hz3::kKnobCount; }
const hz3_knob_info* hz3_knob_at(size_t index) { return hz3::knob_info(index); }

int hz3_knob_get(const char* name, int64_t* value) {
  size_t index = 0;
  hz3::ensure_booted();
  if (const int refused = hz3::find_knob(name, &index); refused != HZ3_OK) return refused;
  *value = hz3::knob(static_cast<hz3::Knob>(index));
  return HZ3_OK;
}

int hz3_knob_set(const char* name, int64_t value) {
  hz3::ensure_booted();
  return hz3::set_knob(name, value);
}

int hz3_knob_set_text(const char* name, const char* text, char* message, size_t message_bytes) {
  hz3::ensure_booted();
  return hz3::set_knob_from_text(name, text, message, message_bytes);
}

size_t hz3_counter_count(void) { return hz3::kCounterCount; }
const hz3_counter_info* hz3_counter_at(size_t index) { return hz3::counter_info(index); }

size_t hz3_counters_read(uint64_t* values, size_t count) {
  const size_t filled = hz3::min_of(count, hz3::kCounterCount);
  hz3::read_counters(values, filled);
  return filled;
}

int hz3_stats_read(hz3_stats* stats) {
  if (stats == nullptr || !hz3::ensure_booted()) return HZ3_NOT_A_VALUE;
  hz3_stats present;
  hz3::read_stats(&present);
  return copy_out(present, stats);
}

size_t hz3_class_count(void) { return hz3::kClassCount; }

int hz3_class_stats_read(size_t index, hz3_class_stats* stats) {
  hz3_class_stats present = {};
  if (stats == nullptr || !hz3::ensure_booted() || !hz3::read_class_stats(index, &present)) {
    return HZ3_NOT_A_VALUE;
  }
  return copy_out(present, stats);
}

int hz3_observe(hz3_observation* whole, hz3_class_observation* classes, size_t class_count) {
  if (whole == nullptr || !hz3::ensure_booted()) return HZ3_NOT_A_VALUE;
  if (classes != nullptr && class_count != 0 && !is_struct_size(*classes)) return HZ3_NOT_A_VALUE;
  if (!is_struct_size(*whole)) return HZ3_NOT_A_VALUE;
  hz3_observation present;
  const int result = hz3::observe(&present, classes, class_count);
  return result == HZ3_OK ? copy_out(present, whole) : result;
}

int hz3_observe_write(int descriptor) {
  return hz3::ensure_booted() ? hz3::observe_to(descriptor) : HZ3_NO_MEMORY;
}

}  // extern "C"
