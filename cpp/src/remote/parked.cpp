// Passes over the lanes of the transfer cache; see parked.h.
#include "remote/parked.h"

#include "arena/page_heap.h"
#include "remote/home.h"
#include "remote/transfer_cache.h"

namespace hz3 {
namespace {

// Moves the blocks that lie in `segment` behind the others; returns how many others there are.
unsigned separate(Magazine* magazine, std::size_t segment) {
  unsigned others = 0;
  for (unsigned i = 0; i < count_of(magazine); ++i) {
    void* block = magazine->slots[i];
    if (arena.page_of(block) / kPagesPerSegment == segment) continue;
    magazine->slots[i] = magazine->slots[others];
    magazine->slots[others++] = block;
  }
  return others;
}

// All batches of a lane, linked through `next` as in a stack. They are ours then.
Magazine* take_lane(unsigned lane) {
  Magazine* chain = nullptr;
  while (Magazine* magazine = transfer_cache.pop(lane)) {
    magazine->next.store(chain != nullptr ? magazine_index(chain) + 1 : 0,
                         std::memory_order_relaxed);
    chain = magazine;
  }
  return chain;
}

Magazine* below(const Magazine* magazine) {
  const std::uint32_t next = magazine->next.load(std::memory_order_relaxed);
  return next == 0 ? nullptr : magazine_at(next - 1);
}

}  // namespace

std::size_t return_parked_of(const RouteUser& user, std::size_t segment) {
  std::size_t home = 0;
  for (unsigned lane = 0; lane < TransferCache::used_lanes(); ++lane) {
    Magazine* next = nullptr;
    for (Magazine* magazine = take_lane(lane); magazine != nullptr; magazine = next) {
      next = below(magazine);
      const unsigned count = count_of(magazine);
      const unsigned others = separate(magazine, segment);
      home += count - others;
      if (others != count) {
        return_blocks(user, TransferCache::class_of(lane), magazine->slots + others,
                      count - others);
        magazine->count.store(others, std::memory_order_relaxed);
      }
      if (others == 0) {
        release_magazine(magazine, user.shard);
      } else if (!transfer_cache.push(lane, magazine)) {
        return_batch(user, TransferCache::class_of(lane), magazine);
      }
    }
  }
  return home;
}

std::size_t return_parked(const RouteUser& user, std::size_t used_pages) {
  std::size_t home = 0;
  for (unsigned lane = 0; lane < TransferCache::used_lanes(); ++lane) {
    while (Magazine* magazine = transfer_cache.pop(lane)) {
      home += count_of(magazine);
      return_batch(user, TransferCache::class_of(lane), magazine);
      if (page_heap.figures().used_pages <= used_pages) return home;
    }
  }
  return home;
}

}  // namespace hz3
