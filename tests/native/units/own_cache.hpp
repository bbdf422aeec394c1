// What a unit test sees of the calling thread's cache.
#pragma once

#include <cstdint>

#include "cache/thread_cache.h"
#include "settings/counters.h"
#include "support/check.hpp"
#include "units/counter_value.hpp"

namespace hz3test {

// There is one after the first block.
inline hz3::ThreadCache& cache() {
  CHECK(hz3::current_cache != &hz3::empty_cache);
  return static_cast<hz3::ThreadCache&>(*hz3::current_cache);
}

inline std::uint64_t own_count(hz3::Counter which) { return value_of(cache().counters, which); }

}  // namespace hz3test
