// Central: the spans of one shard, per class. Every method needs the shard's lock.
//
// Partly used spans wait in eight lists by how full they are, fullest first, so that nearly empty
// ones can drain and go back to the page heap. An empty span goes back at once, or, while another
// thread marks pending blocks in it, when those are merged.
#pragma once

#include <cstdint>

#include "arena/page_heap.h"
#include "base/audit.h"
#include "base/bits.h"
#include "settings/counters.h"
#include "span/span.h"

namespace hz3 {

class Central {
 public:
  void boot(unsigned shard) { shard_ = static_cast<std::uint8_t>(shard); }

  // Takes up to `want` blocks out of partly used spans; returns how many. They are stored from
  // out[want - 1] downwards, lowest address last, so that a bin hands out low addresses first.
  unsigned take_partial(unsigned class_index, void** out, unsigned want);

  // Cuts a new span and links it. False when the page heap has no run (see PageHeap::Opening).
  bool add_span(unsigned class_index, PageHeap::Opening opening);

  // Puts back those of the blocks that belong to this shard; moves the others to the front and
  // returns how many they are. Reports double and interior frees.
  unsigned put(void** blocks, unsigned count);

  // Puts back the blocks of a span of this shard whose bits are set; returns how many. Reports
  // double frees.
  unsigned put_bits(Span* span, const std::uint64_t (&bits)[Span::kMostWords]);

  struct ClassFigures {
    std::uint64_t spans;
    std::uint64_t blocks_out;
  };
  ClassFigures figures(unsigned class_index) const {
    return {classes_[class_index].spans, classes_[class_index].blocks_out};
  }

  // Every span of the shard, its marks and every list against the figures. Counts the spans of each
  // class that say they are in the page queue.
  void audit(Audit* audit, std::uint64_t (&queued_spans)[kClassCount]) const;

  CounterBlock& counters() { return counters_; }
  const CounterBlock& counters() const { return counters_; }

 private:
  static constexpr unsigned kLists = 8;

  struct Class {
    Span* lists[kLists] = {};  // 0: fullest
    std::uint64_t spans = 0;
    std::uint64_t blocks_out = 0;
  };

  static unsigned fullness_of(const Span& span) {
    return span.free_blocks >> span.size_class().fullness_shift;
  }
  // From so many free blocks on a span of this list belongs elsewhere: into the next list, or back
  // to the page heap.
  static unsigned change_after(const Span& span, unsigned list) {
    const SizeClass& shape = span.size_class();
    return min_of<unsigned>((list + 1) << shape.fullness_shift, shape.blocks);
  }
  std::uint64_t audit_lists(unsigned class_index, Audit* audit) const;
  void add_free(Span* span, unsigned freed);
  void settle(Span* span);
  void link(Span* span);
  void unlink(Span* span);
  Span* new_descriptor(unsigned length);
  void drop_descriptor(Span* span);
  void release(Span* span);
  static unsigned take_from(Span* span, void** out, unsigned want);

  Class classes_[kClassCount];
  Span* descriptors_[kSpanLengths] = {};
  std::uint8_t shard_ = 0;
  CounterBlock counters_;
};

}  // namespace hz3
