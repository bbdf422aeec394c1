// The page queues against the spans in them, with the shard's lock held: spans may join a queue
// meanwhile, but none leaves it.
#include <bit>

#include "remote/page_queue.h"
#include "span/pending.h"
#include "span/shard.h"

namespace hz3 {
namespace {

std::uint64_t count_marks(const Pending& pending) {
  std::uint64_t blocks = 0;
  for (const std::atomic<std::uint64_t>& word : pending.bits) {
    // acquire: counted as parked before [page-queue]
    blocks += static_cast<std::uint64_t>(std::popcount(word.load(std::memory_order_acquire)));
  }
  return blocks;
}

}  // namespace

bool PageQueue::audit(unsigned shard, unsigned class_index, std::uint64_t queued_spans,
                      bool is_last, Audit* audit) const {
  const Lane& lane = lanes_[shard][class_index];
  const std::uint64_t most_spans = shards[shard].central.figures(class_index).spans;
  std::uint64_t spans = 0;
  std::uint64_t blocks = 0;
  // acquire: `next` of this span and of all below it [page-queue-link]
  for (const Pending* pending = lane.head.load(std::memory_order_acquire); pending != nullptr;
       pending = pending->next.load(std::memory_order_relaxed)) {
    const Span& span = *pending->span;
    const std::uint32_t control = pending->control.load(std::memory_order_relaxed);
    audit->expect((control & Pending::kQueued) != 0, "a span in a queue knows it", span.start);
    audit->expect(span.shard == shard && span.class_index == class_index,
                  "a queued span is in the queue of its class", span.start);
    if (++spans > most_spans) {
      audit->expect(false, "a span is queued once", span.start);
      return true;
    }
    blocks += count_marks(*pending);
  }
  const std::uint64_t parked = lane.parked.load(std::memory_order_relaxed);
  audit->expect(blocks <= parked, "pending blocks are counted", class_index);
  const bool settled = spans >= queued_spans && blocks >= parked;
  if (settled || !is_last) return settled;
  audit->expect(spans >= queued_spans, "a queued span is in a queue", class_index);
  audit->expect(blocks >= parked, "pending blocks are counted", class_index);
  return true;
}

}  // namespace hz3
