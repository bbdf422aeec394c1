// The double of os/memory.h. Any thread may call it; tests that use several threads do not look at
// the counts.
#include "units/fake_os.hpp"

#include <sys/mman.h>

#include "os/memory.h"
#include "support/check.hpp"

namespace hz3test {

FakeOs fake_os = {{},
                  0,
                  0,
                  0,
                  0,
                  {},
                  /*clock_ns=*/1'000'000'000,
                  /*page_bytes=*/4096,
                  /*memory_bytes=*/std::size_t{1} << 30,
                  /*address_space_bytes=*/SIZE_MAX,
                  0,
                  0,
                  0,
                  nullptr};

namespace {

bool fails(OsCall call) {
  const auto kind = static_cast<unsigned>(call);
  ++fake_os.calls[kind];
  const std::uint64_t number = ++fake_os.all_calls;
  if (!fake_os.fail_kind[kind]) return false;
  if (number < fake_os.fail_from || number >= fake_os.fail_to) return false;
  ++fake_os.failures;
  return true;
}

// The contract of os/memory.h: whole pages only.
void check_pages(const void* address, std::size_t bytes) {
  CHECKF(reinterpret_cast<std::uintptr_t>(address) % fake_os.page_bytes == 0 &&
             bytes % fake_os.page_bytes == 0 && bytes != 0,
         "no whole pages: %p, %zu bytes", address, bytes);
}

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

}  // namespace
}  // namespace hz3test

namespace hz3::os {

using hz3test::check_pages;
using hz3test::fails;
using hz3test::fake_os;
using hz3test::OsCall;

std::size_t system_page_bytes() { return fake_os.page_bytes; }

void* reserve(std::size_t bytes, std::size_t alignment) {
  CHECK(alignment != 0 && (alignment & (alignment - 1)) == 0);
  if (fails(OsCall::kReserve) || bytes > SIZE_MAX - alignment) return nullptr;
  void* raw = ::mmap(nullptr, bytes + alignment, PROT_NONE, hz3test::kPrivate, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<std::uintptr_t>(raw);
  // What lies around the aligned part stays reserved: nothing else can end up beside it.
  return reinterpret_cast<void*>((start + alignment - 1) & ~(alignment - 1));
}

void* map(std::size_t bytes, Mapping) {
  check_pages(nullptr, bytes);
  if (fails(OsCall::kMap)) return nullptr;
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, hz3test::kPrivate, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  fake_os.committed_bytes += bytes;
  return address;
}

bool unmap(void* address, std::size_t bytes) {
  check_pages(address, bytes);
  if (fails(OsCall::kUnmap)) return false;
  fake_os.committed_bytes -= bytes;
  return ::munmap(address, bytes) == 0;
}

bool commit(void* address, std::size_t bytes) {
  check_pages(address, bytes);
  if (fails(OsCall::kCommit)) return false;
  fake_os.committed_bytes += bytes;
  return ::mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool purge(void* address, std::size_t bytes) {
  check_pages(address, bytes);
  if (fails(OsCall::kPurge)) return false;
  fake_os.purged_bytes += bytes;
  if (fake_os.on_purge != nullptr) fake_os.on_purge(address, bytes);
  return ::madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool renew(void* address, std::size_t bytes) {
  check_pages(address, bytes);
  if (fails(OsCall::kRenew)) return false;
  fake_os.purged_bytes += bytes;
  if (fake_os.on_purge != nullptr) fake_os.on_purge(address, bytes);
  return ::madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool move_pages(void* from, void* to, std::size_t bytes) {
  check_pages(from, bytes);
  check_pages(to, bytes);
  if (fails(OsCall::kMovePages)) return false;
  std::memcpy(to, from, bytes);
  return ::madvise(from, bytes, MADV_DONTNEED) == 0;
}

void* remap(void* address, std::size_t old_bytes, std::size_t new_bytes) {
  check_pages(address, old_bytes);
  check_pages(address, new_bytes);
  if (fails(OsCall::kRemap)) return nullptr;
  void* moved = ::mremap(address, old_bytes, new_bytes, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) return nullptr;
  fake_os.committed_bytes += new_bytes;
  fake_os.committed_bytes -= old_bytes;
  return moved;
}

bool look_up_residency(const void* address, std::size_t bytes, unsigned char* pages) {
  check_pages(address, bytes);
  CHECK_EQ(fake_os.page_bytes, std::size_t{4096});
  if (fails(OsCall::kLookUpResidency)) return false;
  return ::mincore(const_cast<void*>(address), bytes, pages) == 0;
}

void allow_huge_pages(void* address, std::size_t, bool) { CHECK(address != nullptr); }

std::uint64_t coarse_clock_ns() { return fake_os.clock_ns; }
unsigned cpu_count() { return 2; }
void wait_ns(std::uint64_t) { ++fake_os.waits; }
std::size_t physical_bytes() { return fake_os.memory_bytes; }
std::size_t address_space_limit() { return fake_os.address_space_bytes; }
bool is_secure_execution() { return false; }

}  // namespace hz3::os
