// A double of the operating system layer: real memory underneath, but it counts calls, fails on
// demand and has a clock that tests set. Linked in place of os/memory_linux.cpp.
#ifndef HZ3_TESTS_FAKE_OS_HPP
#define HZ3_TESTS_FAKE_OS_HPP

#include <cstddef>
#include <cstdint>

namespace hz3test {

enum class OsCall : unsigned {
  kReserve,
  kMap,
  kUnmap,
  kCommit,
  kPurge,
  kRenew,
  kMovePages,
  kRemap,
  kLookUpResidency,
  kCount
};
inline constexpr unsigned kOsCalls = static_cast<unsigned>(OsCall::kCount);

struct FakeOs {
  std::uint64_t calls[kOsCalls];  // of each kind so far
  std::uint64_t all_calls;
  std::uint64_t failures;  // calls that were made to fail

  // The calls with numbers [fail_from, fail_to) of all calls fail; numbers start at 1.
  std::uint64_t fail_from;
  std::uint64_t fail_to;
  bool fail_kind[kOsCalls];  // only these kinds fail; by default none

  std::uint64_t clock_ns;
  std::size_t page_bytes;
  std::size_t memory_bytes;
  std::size_t address_space_bytes;

  std::size_t committed_bytes;  // by commit() and map(), less unmap()
  std::size_t purged_bytes;
  std::uint64_t waits;
  void (*on_purge)(void* address, std::size_t bytes);  // called while pages go back, or nullptr

  std::uint64_t count(OsCall call) const { return calls[static_cast<unsigned>(call)]; }
  // From now on all calls of this kind fail, until `allow_all`.
  void refuse(OsCall call) {
    fail_kind[static_cast<unsigned>(call)] = true;
    fail_from = 0;
    fail_to = UINT64_MAX;
  }
  void allow_all() {
    for (bool& kind : fail_kind) kind = false;
  }
};

// One per process; tests run in processes of their own.
extern FakeOs fake_os;

}  // namespace hz3test

#endif  // HZ3_TESTS_FAKE_OS_HPP
