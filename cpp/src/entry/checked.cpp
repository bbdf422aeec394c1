// The books of the checked build: every block that the program holds is in the ledger, and the
// bytes behind its end carry a guard that is looked at when it comes back.
//
// A request gets one byte more than asked for, so that there always is a guard; larger than a size
// class, it has one where its last chunk leaves room. What the program may use ends where its
// request did: malloc_usable_size() says so. Only live blocks are written to. Any thread, no lock
// but that of the large heap.
#include <cstring>

#include "arena/ledger.h"
#include "entry/allocate.h"
#include "large/large_heap.h"
#include "span/invalid_free.h"
#include "span/span.h"

namespace hz3::checked {
namespace {

// No byte of it is zero or a letter, the usual content of a string that is too long.
constexpr unsigned char kGuard[] = {0xd5, 0xc3, 0xb7, 0xa9, 0xf3, 0xe5, 0xcb, 0x9d};

std::size_t guard_bytes(std::size_t slack) { return min_of(slack, sizeof kGuard); }

void write_guard(void* end, std::size_t slack) {
  if (HZ3_LIKELY(slack >= sizeof kGuard)) {
    std::memcpy(end, kGuard, sizeof kGuard);
  } else {
    std::memcpy(end, kGuard, slack);
  }
}

bool guard_holds(const void* end, std::size_t slack) {
  if (HZ3_LIKELY(slack >= sizeof kGuard)) return std::memcmp(end, kGuard, sizeof kGuard) == 0;
  return std::memcmp(end, kGuard, guard_bytes(slack)) == 0;
}

// A block as the program sees it.
struct Held {
  std::size_t asked_bytes;
  std::size_t slack;  // what the block has beyond them
  bool exact;         // false: even less may have been asked for
};

Held held_from(std::size_t block_bytes, Slack entry) {
  return {block_bytes - entry, entry, entry < kMostSlack};
}

std::size_t padded(std::size_t size) { return size <= kMaxClassBytes ? size + 1 : size; }

void* hand_out(void* block, std::size_t size) {
  if (HZ3_UNLIKELY(block == nullptr)) return nullptr;
  std::size_t slack = 0;
  std::size_t asked_bytes = size;
  if (HZ3_LIKELY(arena.contains(block))) {
    const std::size_t block_bytes = kClasses[class_of_code(arena.code_at(block))].block_bytes;
    slack = min_of(block_bytes - size, kMostSlack);
    asked_bytes = block_bytes - slack;
    ledger.at(block).store(static_cast<Slack>(slack), std::memory_order_relaxed);
  } else {
    slack = large_heap.set_asked_bytes(block, size).bytes - size;
  }
  write_guard(static_cast<char*>(block) + asked_bytes, slack);
  return block;
}

// Says what is wrong with a pointer into the arena that is not a block of the program.
void report_not_held(const void* block) {
  const Span* span = arena.spans[arena.page_of(block)];
  if (span == nullptr) {
    report_invalid_free(InvalidFree::kUnallocated, block);
  } else if (span->index_of(block) == Span::kNoBlock) {
    report_no_block(*span, block);
  } else {
    report_invalid_free(InvalidFree::kDouble, block, {span->size_class().block_bytes, 0, 0});
  }
}

// `take`: the block leaves the ledger. False, after a report, when the program does not hold it.
bool find_in_arena(const void* block, bool take, Held* held) {
  const Code code = arena.code_at(block);
  if (HZ3_UNLIKELY(code == kNoCode)) {
    report_invalid_free(InvalidFree::kUnallocated, block);
    return false;
  }
  Slack entry = kNotHeld;
  if (HZ3_LIKELY(reinterpret_cast<std::uintptr_t>(block) % kMinBlockBytes == 0)) {
    std::atomic<Slack>& at = ledger.at(block);
    entry = take ? at.exchange(kNotHeld, std::memory_order_relaxed)
                 : at.load(std::memory_order_relaxed);
  }
  if (HZ3_UNLIKELY(entry == kNotHeld)) {
    report_not_held(block);
    return false;
  }
  *held = held_from(kClasses[class_of_code(code)].block_bytes, entry);
  return true;
}

bool find_large(void* block, Held* held) {
  const LargeHeap::Extent extent = large_heap.extent(block);
  if (extent.bytes == 0) {
    raw::release_slow(block);  // finds and names what is wrong with it
    return false;
  }
  *held = {extent.asked_bytes, extent.bytes - extent.asked_bytes, true};
  return true;
}

// Complaints about a block that does exist; with on_invalid_free=warn it is then freed all the
// same.
void inspect(const void* block, const Held& held, Claim claim) {
  const std::size_t asked = held.asked_bytes;
  if (claim.bytes != Claim::kUnsaid && (held.exact ? claim.bytes != asked : claim.bytes > asked)) {
    report_invalid_free(InvalidFree::kWrongSize, block, {asked, 0, claim.bytes});
  }
  if (is_power_of_two(claim.alignment) &&
      (reinterpret_cast<std::uintptr_t>(block) & (claim.alignment - 1)) != 0) {
    report_invalid_free(InvalidFree::kWrongAlignment, block, {asked, 0, claim.alignment});
  }
  if (!guard_holds(static_cast<const char*>(block) + asked, held.slack)) {
    report_invalid_free(InvalidFree::kOverflow, block, {asked, 0, 0});
  }
}

bool find(void* block, bool take, Held* held) {
  return HZ3_LIKELY(arena.contains(block)) ? find_in_arena(block, take, held)
                                           : find_large(block, held);
}

// Resizing without a copy, as in raw::reallocate(). nullptr: only a copy can help.
void* resize_in_place(void* block, const Held& held, std::size_t size) {
  const std::size_t block_bytes = held.asked_bytes + held.slack;
  if (!arena.contains(block)) {
    void* resized = size > kMaxClassBytes ? large_heap.resize(block, size) : nullptr;
    return hand_out(resized, size);
  }
  const bool fits = padded(size) <= block_bytes && size <= kMaxClassBytes;
  if (fits && (size >= block_bytes / 2 || block_bytes == kMinBlockBytes)) {
    return hand_out(block, size);
  }
  return nullptr;
}

}  // namespace

void* allocate(std::size_t size) { return hand_out(raw::allocate(padded(size)), size); }

void* allocate_zeroed(std::size_t size) {
  return hand_out(raw::allocate_zeroed(padded(size)), size);
}

void* allocate_aligned(std::size_t alignment, std::size_t size) {
  return hand_out(raw::allocate_aligned(alignment, padded(size)), size);
}

void release(void* block, Claim claim) {
  if (block == nullptr) return;
  Held held;
  if (HZ3_UNLIKELY(!find(block, true, &held))) return;
  inspect(block, held, claim);
  raw::release(block);
}

void* reallocate(void* block, std::size_t size) {
  Held held;
  if (!find(block, false, &held)) return nullptr;
  inspect(block, held, {});
  if (void* resized = resize_in_place(block, held, size)) return resized;
  void* fresh = allocate(size);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, min_of(held.asked_bytes, size));
  release(block, {});
  return fresh;
}

std::size_t usable_size(const void* block) {
  if (block == nullptr) return 0;
  if (!arena.contains(block)) return large_heap.extent(block).asked_bytes;
  const Code code = arena.code_at(block);
  if (code == kNoCode || reinterpret_cast<std::uintptr_t>(block) % kMinBlockBytes != 0) return 0;
  const Slack entry = ledger.at(block).load(std::memory_order_relaxed);
  if (entry == kNotHeld) return 0;
  return held_from(kClasses[class_of_code(code)].block_bytes, entry).asked_bytes;
}

std::size_t good_size(std::size_t size) { return size > kMaxRequestBytes ? 0 : size; }

bool is_live_block(const void* block) {
  if (block == nullptr) return false;
  if (!arena.contains(block)) return large_heap.extent(block).bytes != 0;
  return arena.code_at(block) != kNoCode &&
         reinterpret_cast<std::uintptr_t>(block) % kMinBlockBytes == 0 &&
         ledger.at(block).load(std::memory_order_relaxed) != kNotHeld;
}

}  // namespace hz3::checked
