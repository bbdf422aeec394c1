// Making and weighing remote stashes.
#include "remote/remote_stash.h"

#include "arena/metadata.h"
#include "settings/knobs.h"

namespace hz3 {

std::uint64_t RemoteStash::parked_bytes() const {
  std::uint64_t total = 0;
  for (const Slot& slot : *this) {
    if (slot.batch == nullptr) continue;
    total += std::uint64_t{slot.batch->count.load(std::memory_order_relaxed)} *
             kClasses[class_of_code(slot.code)].block_bytes;
  }
  return total;
}

RemoteStash* new_remote_stash() {
  if (knob(Knob::kRemoteBatch) == 0 && knob(Knob::kPagePacketK) == 0) return nullptr;
  // Metadata is zeroed, which is what an empty stash consists of.
  return static_cast<RemoteStash*>(metadata_allocate(sizeof(RemoteStash)));
}

}  // namespace hz3
