// Everything the allocator asks of the operating system, in a dozen calls.
//
// Product code links memory_linux.cpp; tests link a double that counts and fails on demand.
// All functions are callable from any thread, keep errno, and never allocate. Addresses and sizes
// must be multiples of system_page_bytes().
#pragma once

#include <cstddef>
#include <cstdint>

namespace hz3::os {

// Size of a page of the kernel: 4, 16 or 64 KiB.
std::size_t system_page_bytes();

// Address space without memory behind it, start aligned to `alignment` (a power of two).
// nullptr when the limit of the process or the kernel refuses.
void* reserve(std::size_t bytes, std::size_t alignment);

// Zeroed readable and writable memory outside any reservation; nullptr when refused. kSparse: a
// table of which little will be touched, not counted against the memory of the machine; kCounted:
// for a block, so that the kernel refuses what it obviously does not have.
enum class Mapping { kSparse, kCounted };
void* map(std::size_t bytes, Mapping kind);

// Gives a reservation or a mapping back. False when the kernel refuses (too many mappings):
// the range then stays as it is.
bool unmap(void* address, std::size_t bytes);

// Makes a piece of a reservation readable and writable; its pages read as zero. False: no memory.
bool commit(void* address, std::size_t bytes);

// Gives the pages back and keeps the range readable and writable; it then reads as zero.
// False when the kernel refuses (for example locked pages): the content is then unchanged.
bool purge(void* address, std::size_t bytes);

// As purge, and makes the range one mapping again, as it was after commit: for a range that pieces
// were moved into or out of. False when the kernel refuses: the content is then unchanged.
bool renew(void* address, std::size_t bytes);

// Moves the pages of [from, from + bytes) to `to` (both committed, disjoint); `from` then reads
// as zero. Huge pages are then allowed in both as they were in `from`. False when the kernel
// cannot: nothing has changed.
bool move_pages(void* from, void* to, std::size_t bytes);

// Resizes a mapping made by map(), moving it when it must. nullptr when refused: unchanged.
void* remap(void* address, std::size_t old_bytes, std::size_t new_bytes);

// Which pages of the range are in memory: one byte for each page of the kernel, its lowest bit set
// when the page is. False when the range is not mapped everywhere. Before Linux 6.7, or without
// /proc, a page that was read and never written counts as well.
bool look_up_residency(const void* address, std::size_t bytes, unsigned char* pages);

// Allows or forbids huge pages for the range; a hint, so failure does not matter.
void allow_huge_pages(void* address, std::size_t bytes, bool allow);

// Monotonic clock with the resolution of a timer tick (1-4 ms), in nanoseconds; a few ns per call.
std::uint64_t coarse_clock_ns();

// CPUs this process may run on, at least 1.
unsigned cpu_count();

// Lets other threads run for about this long.
void wait_ns(std::uint64_t ns);

// Physical memory in bytes.
std::size_t physical_bytes();

// Limit of the address space (RLIMIT_AS) in bytes; SIZE_MAX when there is none.
std::size_t address_space_limit();

// True in a set-user-ID program or one with file capabilities: variables must be ignored.
bool is_secure_execution();

}  // namespace hz3::os
