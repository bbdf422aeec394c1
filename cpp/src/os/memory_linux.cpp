// The operating system layer on Linux. System calls used: mmap, munmap, mprotect, madvise, mremap,
// sched_getaffinity, nanosleep, sysinfo, prlimit64, clock_gettime (vDSO). Stateless
// but for the page size, which the loader hands over.
//
// What is asked once, at start, goes through syscall(): it lies in libc beside mmap, whereas every
// other corner of libc that is called makes up to 64 KiB of it count as resident.
#include "os/memory.h"

#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <bit>

#include "base/bits.h"
#include "base/fatal.h"
#include "os/keep_errno.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace hz3::os {
namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

// Fresh pages for a range of the heap, as commit() leaves them; MAP_FAILED when refused.
void* map_sparse(void* address, std::size_t bytes, int flags) {
  void* fresh =
      mmap(address, bytes, PROT_READ | PROT_WRITE, kPrivate | MAP_NORESERVE | flags, -1, 0);
  if (fresh != MAP_FAILED) madvise(fresh, bytes, MADV_NOHUGEPAGE);
  return fresh;
}

// Purges a range of the heap that something could not be moved to: the kernel may have unmapped it
// before it failed. False when it refuses to purge, and nothing has changed. In a hole another
// thread's mapping may have come to lie meanwhile, and with address space that has two owners
// nobody can go on.
bool purge_after_failed_move(void* address, std::size_t bytes) {
  if (madvise(address, bytes, MADV_DONTNEED) == 0) return true;
  if (errno != ENOMEM) return false;
  if (map_sparse(address, bytes, MAP_FIXED_NOREPLACE) == address) return true;
  fatal("address space lost", "the kernel unmapped a part of the heap and does not give it back",
        "E11");
}

}  // namespace

std::size_t system_page_bytes() { return getauxval(AT_PAGESZ); }

void* reserve(std::size_t bytes, std::size_t alignment) {
  const KeepErrno keep;
  if (bytes > SIZE_MAX - alignment) return nullptr;
  const std::size_t padded = bytes + alignment;
  void* raw = mmap(nullptr, padded, PROT_NONE, kPrivate | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t aligned = align_up(start, alignment);
  if (aligned != start) munmap(raw, aligned - start);
  const std::uintptr_t end = aligned + bytes;
  if (end != start + padded) munmap(reinterpret_cast<void*>(end), start + padded - end);
  return reinterpret_cast<void*>(aligned);
}

void* map(std::size_t bytes, Mapping kind) {
  const KeepErrno keep;
  const int flags = kind == Mapping::kSparse ? kPrivate | MAP_NORESERVE : kPrivate;
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  return address == MAP_FAILED ? nullptr : address;
}

bool unmap(void* address, std::size_t bytes) {
  const KeepErrno keep;
  return munmap(address, bytes) == 0;
}

bool commit(void* address, std::size_t bytes) {
  const KeepErrno keep;
  return mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool purge(void* address, std::size_t bytes) {
  const KeepErrno keep;
  return madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool renew(void* address, std::size_t bytes) {
  const KeepErrno keep;
  // Remapping over a range may fail after it was unmapped. So the new mapping is made elsewhere,
  // where failing does no harm, and moved over the old one: a mapping that was never touched takes
  // on the place it is moved to and joins its neighbours again.
  void* fresh = map_sparse(nullptr, bytes, 0);
  if (fresh == MAP_FAILED) return purge(address, bytes);
  if (mremap(fresh, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address) == address) return true;
  munmap(fresh, bytes);
  return purge_after_failed_move(address, bytes);
}

bool move_pages(void* from, void* to, std::size_t bytes) {
  const KeepErrno keep;
  constexpr int kFlags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
  if (mremap(from, bytes, bytes, kFlags, to) == to) return true;
  purge_after_failed_move(to, bytes);
  return false;
}

void* remap(void* address, std::size_t old_bytes, std::size_t new_bytes) {
  const KeepErrno keep;
  void* moved = mremap(address, old_bytes, new_bytes, MREMAP_MAYMOVE);
  return moved == MAP_FAILED ? nullptr : moved;
}

void allow_huge_pages(void* address, std::size_t bytes, bool allow) {
  const KeepErrno keep;
  madvise(address, bytes, allow ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

std::uint64_t coarse_clock_ns() {
  const KeepErrno keep;
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

unsigned cpu_count() {
  const KeepErrno keep;
  std::uint64_t allowed[CPU_SETSIZE / 64] = {};  // a bit for each CPU
  if (syscall(SYS_sched_getaffinity, 0, sizeof allowed, allowed) < 0) return 1;
  unsigned count = 0;
  for (const std::uint64_t word : allowed) count += static_cast<unsigned>(std::popcount(word));
  return count > 0 ? count : 1;
}

void wait_ns(std::uint64_t ns) {
  const KeepErrno keep;
  const timespec duration = {static_cast<time_t>(ns / 1'000'000'000),
                             static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&duration, nullptr);
}

std::size_t physical_bytes() {
  const KeepErrno keep;
  struct sysinfo info = {};
  if (syscall(SYS_sysinfo, &info) != 0) return std::size_t{1} << 30;
  return static_cast<std::size_t>(info.totalram) * info.mem_unit;
}

std::size_t address_space_limit() {
  const KeepErrno keep;
  rlimit limit = {};
  const bool known = syscall(SYS_prlimit64, 0, RLIMIT_AS, nullptr, &limit) == 0;
  if (!known || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return static_cast<std::size_t>(limit.rlim_cur);
}

bool is_secure_execution() { return getauxval(AT_SECURE) != 0; }

}  // namespace hz3::os
