// The live page: gauges and counters of this process for whoever watches it from outside.
//
// With live_page=1 the process keeps the file /dev/shm/hz3-<user>-<process>, which only its user
// can read, up to date: at slow events, at most a hundred times a second, so the figures of an idle
// process are as old as its last slow event. It is removed at exit; one that stayed behind (the
// process was killed, or became another program) is mapped by nobody any more. A child of fork gets
// a page of its own at its first update; a program in secure execution publishes nothing.
//
// Readers take the sequence, copy, and take it again: odd, or different, means that the page was
// being written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/futex_lock.h"

namespace hz3 {

struct LiveEntry {
  char name[32];  // ends with a zero
  std::atomic<std::uint64_t> value;
};

// The version changes with every change that a reader must know of; new entries are none.
struct LivePage {
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::size_t kBytes = 8192;
  static constexpr unsigned kMostEntries = 200;

  char magic[8];  // "hz3live"
  std::uint32_t version;
  std::uint32_t process;
  std::uint32_t entries_offset;
  std::uint32_t entry_bytes;
  std::uint32_t gauges;    // the first entries
  std::uint32_t counters;  // the entries after them
  std::uint64_t started_ns;
  std::atomic<std::uint64_t> sequence;
  std::atomic<std::uint64_t> updated_ns;  // CLOCK_BOOTTIME, as started_ns
  LiveEntry entries[kMostEntries];
};
static_assert(sizeof(LivePage) <= LivePage::kBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// At boot, after the knobs were read: publishes if the knob says so.
void start_live_page();

// Writes new figures if the old ones are a hundredth of a second old. In a slow event; waits for
// nobody.
void update_live_page(std::uint64_t now_ns);

// Takes the page away for good, at exit.
void end_live_page();

// In the child of fork, which must not write to its parent's page.
void leave_live_page_in_child();

FutexLock& live_page_lock();  // for fork; taken before all others

}  // namespace hz3
