// One value out of a block of counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "settings/counters.h"

namespace hz3test {

inline std::uint64_t value_of(const hz3::CounterBlock& block, hz3::Counter which) {
  std::uint64_t totals[hz3::kCounterCount] = {};
  block.add_to(totals, hz3::kCounterCount);
  return totals[static_cast<std::size_t>(which)];
}

}  // namespace hz3test
