// The routes on the fake system. "Owner" takes blocks from one shard, "stranger" gives them back
// for another.
#ifndef HZ3_TESTS_ROUTE_USERS_HPP
#define HZ3_TESTS_ROUTE_USERS_HPP

#include <utility>

#include "arena/page_heap.h"
#include "remote/remote_stash.h"
#include "remote/route.h"
#include "settings/knobs.h"
#include "span/shard.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace hz3test {

using namespace hz3;

inline constexpr std::size_t kArenaBytes = std::size_t{256} << 20;

inline CounterBlock owner_counters;
inline CounterBlock stranger_counters;
inline RouteUser owner = {0, &owner_counters};
inline RouteUser stranger = {1, &stranger_counters};

inline void boot() {
  CHECK(boot_arena(kArenaBytes));
  CHECK(boot_magazines(kArenaBytes));
  boot_shards(4);
  for (unsigned shard = 0; shard < 4; ++shard) open_shard(shard);
}

inline void set(const char* name, std::int64_t value) { CHECK_EQ(set_knob(name, value), HZ3_OK); }

inline void choose(const char* name, const char* value) {
  CHECK_EQ(set_knob_from_text(name, value, nullptr, 0), HZ3_OK);
}

inline void gather_for_stranger() {
  stranger.gathered = new_remote_stash();
  CHECK(stranger.gathered != nullptr);
}

inline std::uint64_t count(Counter which) {
  std::uint64_t totals[kCounterCount] = {};
  owner_counters.add_to(totals, kCounterCount);
  stranger_counters.add_to(totals, kCounterCount);
  shared_counters.add_to(totals, kCounterCount);
  for (unsigned i = 0; i < shard_count; ++i) {
    shards[i].central.counters().add_to(totals, kCounterCount);
  }
  return totals[static_cast<std::size_t>(which)];
}

inline std::uint64_t blocks_out() {
  std::uint64_t total = 0;
  for (unsigned i = 0; i < shard_count; ++i) {
    for (unsigned index = 0; index < kClassCount; ++index) {
      total += shards[i].central.figures(index).blocks_out;
    }
  }
  return total;
}

// Blocks of the owner's shard, taken as a bin takes them: a batch that was parked comes whole.
class Blocks {
 public:
  Blocks(unsigned class_index, unsigned wanted)
      : code_(code_of(class_index, owner.shard)), all_(hz3test::map_zeroed<void*>(wanted + 64)) {
    while (count_ < wanted) {
      const unsigned want = min_of(wanted - count_, Magazine::kSlots);
      const unsigned taken = take_blocks(owner, code_, all_ + count_, want);
      CHECK(taken != 0);
      count_ += taken;
    }
  }
  // In batches of at most `most`, all of them.
  void give(const RouteUser& user, unsigned most = Magazine::kSlots) {
    while (count_ != 0) {
      const unsigned batch = count_ < most ? count_ : most;
      count_ -= batch;
      give_blocks(user, code_, all_ + count_, batch);
    }
  }
  void give_one(const RouteUser& user) { give_blocks(user, code_, all_ + --count_, 1); }
  // A random draw of the blocks, so that batches mix spans.
  void shuffle(Random& random) {
    for (unsigned i = count_; i > 1; --i) std::swap(all_[i - 1], all_[random.below(i)]);
  }
  unsigned left() const { return count_; }

 private:
  Code code_;
  void** all_;
  unsigned count_ = 0;
};

inline void bring_all_home() {
  return_gathered(stranger, Gathered::kAll);
  decay_routes(owner, true);
  CHECK_EQ(blocks_out(), std::uint64_t{0});
  CHECK_EQ(page_heap.figures().used_pages, std::size_t{0});
  CHECK_EQ(count(Counter::kInvalidFrees), std::uint64_t{0});
}

}  // namespace hz3test

#endif  // HZ3_TESTS_ROUTE_USERS_HPP
