// The model of a heap that random programs are checked against.
//
// A program is a list of operations over numbered slots. Each slot holds at most one block, whose
// bytes follow from the block's seed. Any operation is valid in any state (allocating into a full
// slot frees it first, freeing an empty one does nothing), so a failing program can be shortened by
// leaving operations out.
#ifndef HZ3_TESTS_MODEL_HPP
#define HZ3_TESTS_MODEL_HPP

#include <cstddef>
#include <cstdint>

#include "support/random.hpp"

namespace hz3test {

enum class Kind : std::uint8_t {
  kMalloc,
  kCalloc,
  kRealloc,
  kAligned,
  kPosixAligned,
  kFree,
  kCheck,
  kRewriteUsable,  // write to all of malloc_usable_size
  kHandOver,       // swap the block with one of the exchange, which all threads share
  kTrim,
};
inline constexpr const char* kKindNames[] = {"malloc", "calloc", "realloc", "aligned", "posix",
                                             "free",   "check",  "usable",  "hand",    "trim"};
inline constexpr std::size_t kKinds = sizeof kKindNames / sizeof kKindNames[0];

struct Operation {
  Kind kind;
  std::uint32_t slot;  // index in the thread's slots; for kHandOver also picks the exchange slot
  std::size_t size;
  std::size_t alignment;  // a power of two for kAligned and kPosixAligned, else 0
};

struct Block {
  void* address;
  std::size_t size;    // as requested
  std::size_t filled;  // bytes that carry the pattern
  std::uint64_t seed;
  std::size_t marked;  // bytes marked in the shadow
};

// How sizes are drawn.
enum class Profile : std::uint8_t { kSmall, kApp, kEdges, kLarge, kMixed };
inline constexpr const char* kProfileNames[] = {"small", "app", "edges", "large", "mixed"};

std::size_t draw_size(Random& random, Profile profile);
Operation draw_operation(Random& random, Profile profile, std::uint32_t slots);

// One bit per 8 bytes of address space in use, for all threads: a block that overlaps a live one
// finds a bit already set. Its memory never comes from the allocator under test.
class Shadow {
 public:
  // Marks [address, address + size) as live; false if part of it already is.
  static bool take(const void* address, std::size_t size);
  // Unmarks it; false if part of it was not live.
  static bool release(const void* address, std::size_t size);
};

// Blocks on their way from one thread to another.
class Exchange {
 public:
  static constexpr std::size_t kSlots = 512;
  static Block swap(std::size_t slot, const Block& block);
};

// Runs operations of one thread and checks every promise on the way; a broken one ends the process
// with a message that names seed, thread and operation.
class Runner {
 public:
  Runner(std::uint64_t seed, unsigned thread, std::uint32_t slots);
  void run(const Operation& operation);
  // Checks and frees everything the thread holds.
  void finish();
  std::uint64_t bytes_allocated() const { return bytes_allocated_; }

 private:
  [[noreturn]] void broken(const char* what, const Block& block, std::size_t detail) const;
  void accept(Block& block, void* address, const Operation& operation, std::size_t alignment);
  void check(const Block& block) const;
  void release(Block& block);
  void resize(Block& block, const Operation& operation);
  void rewrite_usable(Block& block);
  void hand_over(Block& block, std::uint32_t slot);

  std::uint64_t seed_;
  unsigned thread_;
  std::uint32_t slot_count_;
  Block* slots_;
  std::uint64_t step_ = 0;
  std::uint64_t bytes_allocated_ = 0;
  Operation current_{};
};

}  // namespace hz3test

#endif  // HZ3_TESTS_MODEL_HPP
