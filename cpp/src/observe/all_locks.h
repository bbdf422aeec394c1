// Every lock of the allocator's structures, for as long as somebody looks at all of them at once.
//
// Taken in the order that fork takes them in. Never waits for ever: what another thread does not
// give back within a second, or what the caller itself holds (a signal handler may have interrupted
// a section), is left and counted. Observers read such a structure all the same: descriptors are
// never unmapped, and their walks end.
#pragma once

#include <cstdint>

#include "base/futex_lock.h"
#include "geometry/constants.h"

namespace hz3 {

class AllLocks {
 public:
  // How often a lock that is held is tried again, a nap apart.
  enum class Patience : unsigned { kNone = 0, kSecond = 10'000 };

  static constexpr std::uint64_t kNapNs = 100'000;

  explicit AllLocks(Patience patience);
  ~AllLocks();
  AllLocks(const AllLocks&) = delete;
  AllLocks& operator=(const AllLocks&) = delete;

  unsigned missed() const { return missed_; }

 private:
  static constexpr unsigned kMost = kMaxShards + 5;

  void take(FutexLock& lock);

  FutexLock* taken_[kMost];
  unsigned count_ = 0;
  unsigned missed_ = 0;
  unsigned patience_;
};

}  // namespace hz3
