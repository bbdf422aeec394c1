// The routes of batches between thread caches and spans: where a miss takes blocks from (route.cpp)
// and where an overflow brings them (give.cpp).
//
// Any thread. A caller says on whose behalf it acts: a shard to take from and a block of counters
// that only it writes.
#pragma once

#include "geometry/size_classes.h"
#include "remote/magazine.h"
#include "settings/counters.h"

namespace hz3 {

class RemoteStash;

struct RouteUser {
  unsigned shard;
  CounterBlock* counters;           // written by the caller's thread alone
  RemoteStash* gathered = nullptr;  // the caller's own; nullptr while no knob asks for it
};

// Takes blocks of `code`'s class into out[0 .. kSlots), about `want` of them; 0 when there is no
// memory. The last one is the best to use first.
unsigned take_blocks(const RouteUser& user, Code code, void** out, unsigned want);

// Brings `count` <= Magazine::kSlots blocks of one code back, whichever shard they belong to, along
// the route that the knobs name.
void give_blocks(const RouteUser& user, Code code, void** blocks, unsigned count);

// Puts blocks straight into their spans (decay, trim, thread exit).
void return_blocks(const RouteUser& user, unsigned class_index, void** blocks, unsigned count);

// Puts what the user's remote stash has gathered into the spans: everything, or what nobody has
// added to since the last call.
enum class Gathered { kAll, kIdle };
void return_gathered(const RouteUser& user, Gathered which);

// Moves idle batches of the transfer cache and of the stashes into their spans; all of them when
// `everything`. Returns how many blocks moved.
std::size_t decay_routes(const RouteUser& user, bool everything);

// Moves what waits in the stashes and page queues of one shard into its spans, if the shard's lock
// is free.
void drain_shard(unsigned shard);

// The user's thread ends. The last one of a shard leaves nothing waiting in the shard's lanes of
// the transfer cache, stash, spill and page queue, since hardly anybody may ask for it any more.
void leave_shard(const RouteUser& user);

}  // namespace hz3
