// Marking, announcing and collecting pending blocks.
#include "remote/page_queue.h"

#include "arena/arena.h"
#include "base/bits.h"
#include "remote/magazine.h"
#include "span/invalid_free.h"
#include "span/pending.h"
#include "span/shard.h"

namespace hz3 {
namespace {

Span* span_of(const void* block) { return arena.spans[arena.page_of(block)]; }

unsigned count_bits(const std::uint64_t (&bits)[Span::kMostWords]) {
  unsigned total = 0;
  for (const std::uint64_t word : bits) total += static_cast<unsigned>(std::popcount(word));
  return total;
}

}  // namespace

constinit PageQueue page_queue;

// Blocks of one span on their way. The producer has counted itself in.
struct PageQueue::Packet {
  Span* span;
  Pending* pending;
  std::uint64_t bits[Span::kMostWords];
};

// Adds a block; returns how many were added. One that is not out of this span was freed before.
unsigned PageQueue::mark(Packet* packet, void* block) {
  if (HZ3_UNLIKELY(span_of(block) != packet->span)) {
    report_invalid_free(InvalidFree::kDouble, block);
    return 0;
  }
  const unsigned index = packet->span->index_of(block);
  if (HZ3_UNLIKELY(index == Span::kNoBlock)) {
    report_no_block(*packet->span, block);
    return 0;
  }
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  if (HZ3_UNLIKELY((packet->bits[index / 64] & bit) != 0)) {
    report_invalid_free(InvalidFree::kDouble, block);
    return 0;
  }
  packet->bits[index / 64] |= bit;
  return 1;
}

void PageQueue::link(Lane* lane, Pending* pending) {
  Pending* old = lane->head.load(std::memory_order_relaxed);
  do {
    pending->next.store(old, std::memory_order_relaxed);
    // release: the lock holder that takes the queue sees `next` [page-queue-link]
  } while (!lane->head.compare_exchange_weak(old, pending, std::memory_order_seq_cst,
                                             std::memory_order_relaxed));
}

// Publishes the bits, counts the producer out and links the span unless it is queued. From the
// exchange on the span may go. Returns how many blocks are pending by this call.
unsigned PageQueue::announce(Lane* lane, const Packet& packet, CounterBlock* counters) {
  Pending* pending = packet.pending;
  unsigned published = count_bits(packet.bits);
  for (unsigned index = 0; index < Span::kMostWords; ++index) {
    if (packet.bits[index] == 0) continue;
    // release: what the program wrote into the blocks comes before their next use [page-queue]
    const std::uint64_t before =
        pending->bits[index].fetch_or(packet.bits[index], std::memory_order_release);
    std::uint64_t twice = before & packet.bits[index];
    for (; HZ3_UNLIKELY(twice != 0); twice &= twice - 1) {
      --published;
      report_invalid_free(InvalidFree::kDouble,
                          packet.span->address_of(index * 64 + lowest_bit(twice)));
    }
  }
  // seq_cst: after the bits, before whoever withdraws it reads them [page-queue]
  std::uint32_t seen = pending->control.load(std::memory_order_relaxed);
  while (!pending->control.compare_exchange_weak(
      seen, (seen - Pending::kProducer) | Pending::kQueued, std::memory_order_seq_cst,
      std::memory_order_relaxed)) {
  }
  if ((seen & Pending::kQueued) == 0) {
    link(lane, pending);
    counters->add(Counter::kPageQueueLink);
  }
  return published;
}

bool PageQueue::push(unsigned shard, unsigned class_index, void* const* blocks, unsigned count,
                     unsigned limit_blocks, CounterBlock* counters) {
  Lane& lane = lanes_[shard][class_index];
  if (lane.parked.load(std::memory_order_relaxed) >= limit_blocks) return false;
  Span* spans[Magazine::kSlots];
  for (unsigned i = 0; i < count; ++i) {
    spans[i] = span_of(blocks[i]);
    // Without a span: freed twice, which central reports.
    if (spans[i] == nullptr || pending_of(spans[i]) == nullptr) return false;
  }
  if (!is_used()) used_.store(true, std::memory_order_relaxed);
  lane.parked.fetch_add(count, std::memory_order_relaxed);  // a figure: orders nothing
  unsigned published = 0;
  for (unsigned first = 0; first < count; ++first) {
    Span* span = spans[first];
    if (span == nullptr) continue;
    Packet packet = {span, span->pending.load(std::memory_order_acquire), {}};  // [pending-made]
    // Counted in, the span stays what it is. acquire: what it is [page-queue]
    const std::uint32_t control =
        packet.pending->control.fetch_add(Pending::kProducer, std::memory_order_acquire);
    const bool gone = (control & Pending::kClosed) != 0 || span->shard != shard ||
                      span->class_index != class_index;
    for (unsigned i = first; i < count; ++i) {
      if (spans[i] != span) continue;
      spans[i] = nullptr;
      if (HZ3_UNLIKELY(gone)) {
        report_invalid_free(InvalidFree::kDouble, blocks[i]);
      } else {
        mark(&packet, blocks[i]);
      }
    }
    if (HZ3_UNLIKELY(gone)) {
      packet.pending->control.fetch_sub(Pending::kProducer, std::memory_order_release);
    } else {
      published += announce(&lane, packet, counters);
    }
  }
  if (published != count) lane.parked.fetch_sub(count - published, std::memory_order_relaxed);
  counters->add(Counter::kPageQueuePush, published);
  return true;
}

void PageQueue::collect(unsigned shard, unsigned class_index, Central* central) {
  Lane& lane = lanes_[shard][class_index];
  Pending* pending = lane.head.exchange(nullptr, std::memory_order_seq_cst);  // [page-queue-link]
  unsigned spans = 0;
  unsigned blocks = 0;
  while (pending != nullptr) {
    // Read first: as soon as the span is not queued, a producer may link it again.
    Pending* next = pending->next.load(std::memory_order_relaxed);
    pending->control.fetch_and(~Pending::kQueued, std::memory_order_seq_cst);  // [page-queue]
    std::uint64_t bits[Span::kMostWords];
    for (unsigned index = 0; index < Span::kMostWords; ++index) {
      std::atomic<std::uint64_t>& word = pending->bits[index];
      // relaxed look: what was announced before the line above is visible here
      bits[index] = word.load(std::memory_order_relaxed) == 0
                        ? 0
                        : word.exchange(0, std::memory_order_acquire);  // [page-queue]
    }
    blocks += count_bits(bits);
    ++spans;
    central->put_bits(pending->span, bits);
    pending = next;
  }
  if (spans == 0) return;
  lane.parked.fetch_sub(blocks, std::memory_order_relaxed);
  central->counters().add(Counter::kPageQueueDrain);
  central->counters().add(Counter::kPageQueueSpans, spans);
  central->counters().add(Counter::kCentralReturn, blocks);
}

bool PageQueue::is_due(unsigned shard, unsigned class_index, unsigned period) {
  Lane& lane = lanes_[shard][class_index];
  if (++lane.calls < period) return false;
  lane.calls = 0;
  return true;
}

std::uint64_t PageQueue::parked_blocks(unsigned class_index) const {
  std::uint64_t total = 0;
  if (!is_used()) return total;
  for (unsigned shard = 0; shard < shard_count; ++shard) {
    total += lanes_[shard][class_index].parked.load(std::memory_order_relaxed);
  }
  return total;
}

void PageQueue::rebuild_in_child() {
  if (!is_used()) return;
  for (auto& classes : lanes_) {
    for (Lane& lane : classes) {
      lane.head.store(nullptr, std::memory_order_relaxed);  // one thread: no order needed here
      lane.parked.store(0, std::memory_order_relaxed);
    }
  }
  for (Pending* pending = newest_pending(); pending != nullptr; pending = pending->older) {
    if ((pending->control.load(std::memory_order_relaxed) & Pending::kClosed) != 0) {
      pending->control.store(Pending::kClosed, std::memory_order_relaxed);
      continue;
    }
    std::uint32_t blocks = 0;
    for (const std::atomic<std::uint64_t>& word : pending->bits) {
      blocks += static_cast<std::uint32_t>(std::popcount(word.load(std::memory_order_relaxed)));
    }
    pending->control.store(blocks != 0 ? Pending::kQueued : 0, std::memory_order_relaxed);
    if (blocks == 0) continue;
    Lane& lane = lanes_[pending->span->shard][pending->span->class_index];
    lane.parked.fetch_add(blocks, std::memory_order_relaxed);
    link(&lane, pending);
  }
}

}  // namespace hz3
