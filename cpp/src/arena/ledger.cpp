// Address space and memory of the ledger. See ledger.h.
#include "arena/ledger.h"

#include "arena/guarded.h"
#include "os/memory.h"

namespace hz3 {
namespace {

constexpr std::size_t kBytesPerSegment = (kSegmentBytes >> kMinBlockShift) * sizeof(Slack);

}  // namespace

constinit Ledger ledger;

bool Ledger::boot(std::size_t arena_bytes) {
  void* range = reserve_guarded((arena_bytes >> kSegmentShift) * kBytesPerSegment, kChunkBytes);
  entries_ = static_cast<std::atomic<Slack>*>(range);
  return range != nullptr;
}

const void* Ledger::memory(std::size_t segments, std::size_t* bytes) const {
  *bytes = entries_ == nullptr ? 0 : segments * kBytesPerSegment;
  return entries_;
}

bool Ledger::commit(unsigned first_segment, unsigned segments) const {
  char* start = reinterpret_cast<char*>(entries_) + first_segment * kBytesPerSegment;
  return os::commit(start, segments * kBytesPerSegment);
}

}  // namespace hz3
