// Bringing home what the transfer cache parks, when there is no memory.
//
// Any thread, no lock held; other threads may push and pop meanwhile.
#pragma once

#include <cstddef>

#include "remote/route.h"

namespace hz3 {

// Of all parked batches the blocks that lie in one segment; the others stay parked. Brings the
// segment as close to empty as the transfer cache can. Returns how many blocks came home.
std::size_t return_parked_of(const RouteUser& user, std::size_t segment);

// Whole batches, until the page heap has no more than `used_pages` in use.
std::size_t return_parked(const RouteUser& user, std::size_t used_pages);

}  // namespace hz3
