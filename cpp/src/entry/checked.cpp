// The books of the checked build: every block that the program holds is in the ledger, and the
// eight bytes behind its end carry a guard that is looked at when it comes back.
//
// A request gets eight bytes more than asked for, so that there always is room for the guard. What
// the program may use ends where its request did: malloc_usable_size() says so. Only live blocks
// are written to. Any thread, no lock but that of the large heap.
#include <array>
#include <cstring>

#include "arena/ledger.h"
#include "entry/allocate.h"
#include "large/large_heap.h"
#include "span/invalid_free.h"
#include "span/span.h"

namespace hz3::checked {
namespace {

// No byte of it is zero or a letter, the usual content of a string that is too long.
constexpr std::uint64_t kGuard = 0xd5c3b7a9f3e5cb9d;

HZ3_ALWAYS_INLINE void write_guard(void* block, std::size_t asked_bytes) {
  std::memcpy(static_cast<char*>(block) + asked_bytes, &kGuard, sizeof kGuard);
}

HZ3_ALWAYS_INLINE bool guard_holds(const void* block, std::size_t asked_bytes) {
  return std::memcmp(static_cast<const char*>(block) + asked_bytes, &kGuard, sizeof kGuard) == 0;
}

// Requests that the allocator refuses for their size stay as they are.
constexpr std::size_t padded(std::size_t size) {
  return size <= kMaxRequestBytes - sizeof kGuard ? size + sizeof kGuard : size;
}

// By code, so that one load answers; 0 where no block starts.
constexpr auto kBlockBytes = [] {
  std::array<std::uint32_t, kCodeCount> table = {};
  for (unsigned code = 1; code < kCodeCount; ++code) {
    table[code] = kClasses[class_of_code(static_cast<Code>(code))].block_bytes;
  }
  return table;
}();

// A block as the program sees it.
struct Held {
  std::size_t asked_bytes;
  std::size_t slack;  // what the block has beyond them
};

HZ3_ALWAYS_INLINE void* hand_out_of_arena(void* block, std::size_t size) {
  const std::size_t block_bytes = kBlockBytes[arena.code_at(block)];
  const std::size_t slack = min_of(block_bytes - size, kMostSlack);
  ledger.at(block).store(static_cast<Slack>(slack), std::memory_order_relaxed);
  write_guard(block, block_bytes - slack);
  return block;
}

HZ3_NOINLINE void* hand_out(void* block, std::size_t size) {
  if (block == nullptr) return nullptr;
  if (arena.contains(block)) return hand_out_of_arena(block, size);
  large_heap.set_asked_bytes(block, size);
  write_guard(block, size);
  return block;
}

// Says what is wrong with a pointer into the arena that is not a block of the program.
HZ3_COLD void report_not_held(const void* block) {
  const Span* span = arena.spans[arena.page_of(block)];
  if (span == nullptr) {
    report_invalid_free(InvalidFree::kUnallocated, block);
  } else if (span->index_of(block) == Span::kNoBlock) {
    report_no_block(*span, block);
  } else {
    report_invalid_free(InvalidFree::kDouble, block, {span->size_class().block_bytes, 0, 0});
  }
}

// The entry of a block in the arena; nullptr where none can start.
HZ3_ALWAYS_INLINE std::atomic<Slack>* entry_of(const void* block) {
  if (HZ3_UNLIKELY(arena.code_at(block) == kNoCode) ||
      HZ3_UNLIKELY(reinterpret_cast<std::uintptr_t>(block) % kMinBlockBytes != 0)) {
    return nullptr;
  }
  return &ledger.at(block);
}

// The block as the program holds it; false when it does not. Says nothing.
bool look_up(const void* block, Held* held) {
  if (!arena.contains(block)) {
    const LargeHeap::Extent extent = large_heap.extent(block);
    *held = {extent.asked_bytes, extent.bytes - extent.asked_bytes};
    return extent.bytes != 0;
  }
  const std::atomic<Slack>* entry = entry_of(block);
  const Slack slack = entry != nullptr ? entry->load(std::memory_order_relaxed) : kNotHeld;
  *held = {kBlockBytes[arena.code_at(block)] - std::size_t{slack}, slack};
  return slack != kNotHeld;
}

// Complaints about a block that does exist: with on_invalid_free=warn it is freed all the same.
HZ3_NOINLINE void inspect(const void* block, const Held& held, Claim claim) {
  const std::size_t asked = held.asked_bytes;
  // Beyond what an entry can say, even less may have been asked for.
  const bool in_arena = arena.contains(block);
  const bool exact = !in_arena || held.slack < kMostSlack;
  if (claim.bytes != Claim::kUnsaid && (exact ? claim.bytes != asked : claim.bytes > asked)) {
    report_invalid_free(InvalidFree::kWrongSize, block, {asked, 0, claim.bytes});
  }
  const bool aligned = (reinterpret_cast<std::uintptr_t>(block) & (claim.alignment - 1)) == 0;
  if (!aligned && is_power_of_two(claim.alignment)) {
    report_invalid_free(InvalidFree::kWrongAlignment, block, {asked, 0, claim.alignment});
  }
  if (!guard_holds(block, asked)) {
    report_invalid_free(InvalidFree::kOverflow, block, {asked, 0, 0});
  }
}

HZ3_NOINLINE void release_outside_arena(void* block, Claim claim) {
  if (block == nullptr) return;
  Held held;
  if (look_up(block, &held)) inspect(block, held, claim);
  raw::release_slow(block);  // finds and names what else is wrong with it
}

// Resizing without a copy, as in raw::reallocate(). nullptr: only a copy can help.
void* resize_in_place(void* block, const Held& held, std::size_t size) {
  const std::size_t wanted = padded(size);
  if (wanted > kMaxClassBytes && !arena.contains(block)) {
    return hand_out(large_heap.resize(block, wanted), size);
  }
  const std::size_t block_bytes = held.asked_bytes + held.slack;
  const bool stays = block_bytes <= kMaxClassBytes && stays_in_place(block_bytes, wanted);
  return stays ? hand_out(block, size) : nullptr;
}

}  // namespace

void* allocate(std::size_t size) {
  const std::size_t wanted = padded(size);
  void* block = raw::allocate_hit(wanted);
  if (HZ3_LIKELY(block != nullptr)) return hand_out_of_arena(block, size);
  return hand_out(raw::allocate_slow(wanted), size);
}

void* allocate_zeroed(std::size_t size) {
  return hand_out(raw::allocate_zeroed(padded(size)), size);
}

void* allocate_aligned(std::size_t alignment, std::size_t size) {
  return hand_out(raw::allocate_aligned(alignment, padded(size)), size);
}

void release(void* block, Claim claim) {
  if (HZ3_UNLIKELY(!arena.contains(block))) {
    release_outside_arena(block, claim);
    return;
  }
  std::atomic<Slack>* entry = entry_of(block);
  // An exchange, so that of two frees at the same moment one finds nothing.
  const Slack slack = HZ3_LIKELY(entry != nullptr)
                          ? entry->exchange(kNotHeld, std::memory_order_relaxed)
                          : kNotHeld;
  if (HZ3_UNLIKELY(slack == kNotHeld)) {
    report_not_held(block);
    return;
  }
  const std::size_t asked = kBlockBytes[arena.code_at(block)] - std::size_t{slack};
  const bool as_said = (claim.bytes == Claim::kUnsaid || claim.bytes == asked) &&
                       (reinterpret_cast<std::uintptr_t>(block) & (claim.alignment - 1)) == 0;
  if (HZ3_UNLIKELY(!as_said) || HZ3_UNLIKELY(!guard_holds(block, asked))) {
    inspect(block, {asked, slack}, claim);
  }
  raw::release(block);
}

void* reallocate(void* block, std::size_t size) {
  Held held;
  if (!look_up(block, &held)) {
    if (arena.contains(block)) {
      report_not_held(block);
    } else {
      raw::release_slow(block);  // finds and names what is wrong with it
    }
    return nullptr;
  }
  inspect(block, held, {});
  if (void* resized = resize_in_place(block, held, size)) return resized;
  void* fresh = allocate(size);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, min_of(held.asked_bytes, size));
  release(block, {});
  return fresh;
}

std::size_t usable_size(const void* block) {
  Held held;
  return block != nullptr && look_up(block, &held) ? held.asked_bytes : 0;
}

std::size_t good_size(std::size_t size) { return size > kMaxRequestBytes ? 0 : size; }

bool is_live_block(const void* block) {
  Held held;
  return block != nullptr && look_up(block, &held);
}

}  // namespace hz3::checked
