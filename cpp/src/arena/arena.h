// The arena: one reserved range for all blocks up to 256 KiB, and the dense tables beside it that
// answer "what starts at this address" with one load.
//
// Written once at boot under the boot lock, then constant; the tables are written by whoever holds
// the lock of the page heap or of the span's shard. Any thread reads them: a pointer that it
// was handed was published by the program, and the tag was written before the block was handed out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "geometry/constants.h"
#include "geometry/size_classes.h"

namespace hz3 {

struct Span;     // span/span.h
struct Segment;  // arena/segment.h

struct Arena {
  std::uintptr_t base = 0;
  std::size_t bytes = 0;          // 0 until booted: every pointer is then outside
  std::uintptr_t tag_origin = 0;  // where the tag of address 0 would lie; see tag_at()
  Span** spans = nullptr;         // per page: descriptor of the span, for who holds a block there
  Segment* segments = nullptr;    // per segment
  std::size_t table_bytes = 0;    // of all three, from the tags on

  HZ3_ALWAYS_INLINE bool contains(const void* pointer) const {
    return reinterpret_cast<std::uintptr_t>(pointer) - base < bytes;
  }
  HZ3_ALWAYS_INLINE std::size_t page_of(const void* pointer) const {
    return (reinterpret_cast<std::uintptr_t>(pointer) - base) >> kPageShift;
  }
  // Tag of the page of an address inside the arena: 0 for a free page. The table is found from the
  // address itself, not from its distance to base, which takes the subtraction off the critical
  // path.
  HZ3_ALWAYS_INLINE Tag& tag_at(const void* pointer) const {
    return reinterpret_cast<Tag*>(
        tag_origin)[reinterpret_cast<std::uintptr_t>(pointer) >> kPageShift];
  }
  // The span of a page for who holds no block there, nor the lock of the span's shard: nullptr or a
  // descriptor of which only `shard` may be read. acquire: the descriptor is made [span-table]
  Span* look_up_span(std::size_t page) const {
    return std::atomic_ref(spans[page]).load(std::memory_order_acquire);
  }
  void set_span(std::size_t page, Span* span) const {
    std::atomic_ref(spans[page]).store(span, std::memory_order_release);  // [span-table]
  }
  // kNoCode when no block starts there.
  Code code_at(const void* pointer) const { return code_of_tag(tag_at(pointer)); }
  void* address_of_page(std::size_t page) const {
    return reinterpret_cast<void*>(base + (page << kPageShift));
  }
  const Tag* tags() const { return &tag_at(reinterpret_cast<const void*>(base)); }
  unsigned segment_count() const { return static_cast<unsigned>(bytes >> kSegmentShift); }
};

extern Arena arena;

// Reserves the arena and its tables; smaller ones when the process may not have so much address
// space. False when not even the smallest can be had. Called once, under the boot lock.
bool boot_arena(std::size_t wanted_bytes);

}  // namespace hz3
