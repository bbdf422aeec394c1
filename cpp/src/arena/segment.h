// One segment: 2 MiB of the arena, cut into runs of pages. Protected by the lock of the page heap.
//
//   pages = used + clean free + dirty free
//   dirty: free, was used since it was last given back, so it may be resident and is not zero
//   aged:  dirty already when the last generation ended; the next purge takes it
//   frozen: dirty and above what recent demand justifies, handed out last (see Retention)
//   given_back: free, not dirty, and given back when the last generation ended
// A page that is free and not dirty reads as zero.
#pragma once

#include <cstdint>

#include "base/bitmap.h"
#include "geometry/constants.h"

namespace hz3 {

struct Segment {
  Bitmap<kPagesPerSegment> free;
  Bitmap<kPagesPerSegment> dirty;
  Bitmap<kPagesPerSegment> aged;
  Bitmap<kPagesPerSegment> frozen;
  Bitmap<kPagesPerSegment> given_back;
  Segment* next = nullptr;  // in its bucket of the page heap
  Segment* previous = nullptr;
  std::uint16_t free_pages = 0;
  std::uint16_t dirty_pages = 0;
  std::uint16_t frozen_pages = 0;
  std::uint16_t longest_run = 0;  // upper bound: lowered by a failed search, raised by a free
  std::uint8_t bucket = 0;
  bool open = false;      // taken into use
  bool draining = false;  // in quarantine: in no bucket, so no request finds it
};

}  // namespace hz3
