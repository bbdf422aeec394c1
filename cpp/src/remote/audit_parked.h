// Batches between the threads and those on their way there, for audits.
#pragma once

#include "base/audit.h"
#include "remote/route.h"

namespace hz3 {

// Takes batches of one lane out of the transfer cache, looks at them and puts them back. Other
// threads find fewer meanwhile. At most as many as fit on the stack: a few thousand blocks.
void audit_transfer(const RouteUser& user, unsigned lane, Audit* audit);

// The same for the stash of a shard; needs the shard's lock.
void audit_stash(unsigned shard, unsigned class_index, Audit* audit);

// The batches in the remote stash of the calling thread's cache.
void audit_gathered(const RemoteStash& gathered, Audit* audit);

}  // namespace hz3
