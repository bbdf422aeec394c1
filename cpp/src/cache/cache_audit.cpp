// The bins and the remote stash of a cache, looked at by its own thread.
#include "cache/thread_cache.h"
#include "remote/audit_parked.h"
#include "span/audit_blocks.h"

namespace hz3 {

void ThreadCache::audit(Audit* audit) {
  catch_up();
  for (unsigned index = 1; index < kCodeCount; ++index) {
    const BinState& state = states[index];
    if (state.room == 0) continue;
    const Bin& bin = bins[index];
    const bool in_room = bin.top >= bin.floor && bin.count() <= state.room;
    audit->expect(in_room, "a bin stays in its array", index);
    if (!in_room) continue;
    audit->expect(bin.floor[-1] == nullptr, "a bin has its sentinel", index);
    audit->expect(bin.newest == bin.top[-1], "a bin knows its newest block", index);
    audit->expect(bin.end == bin.floor + state.capacity - 1, "a bin knows its bound", index);
    audit_blocks(bin.floor, bin.count(), class_of_code(static_cast<Code>(index)), audit);
  }
  if (user.gathered != nullptr) audit_gathered(*user.gathered, audit);
}

}  // namespace hz3
