// Running out of memory and coming back, case by case; `--list` names the cases.
//
//   out_of_memory CASE
//
// Cases that need a limit on the address space set it and start the program anew, so that the
// allocator meets it at its first request already.
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <new>

#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;
using hz3test::opaque;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kSpaceBytes = 400 * kMiB;
constexpr std::size_t kMaxBlocks = std::size_t{1} << 23;
constexpr char kLimitedVariable[] = "HZ3_TEST_LIMITED";
char** arguments = nullptr;

// Restarts the program under RLIMIT_AS; the second time round it just goes on.
void live_in_small_space() {
  if (::getenv(kLimitedVariable) != nullptr) return;
  const rlimit limit{kSpaceBytes, RLIM_INFINITY};
  CHECK_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
  CHECK_EQ(::setenv(kLimitedVariable, "1", 1), 0);
  ::execv("/proc/self/exe", arguments);
  hz3test::fail(__FILE__, __LINE__, "execv: errno %d", errno);
}

// A line of /proc/self/status in bytes, for example "VmData:".
std::size_t status_bytes(const char* name) {
  static char text[8192];
  const int descriptor = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  CHECK(descriptor >= 0);
  const ssize_t length = ::read(descriptor, text, sizeof text - 1);
  ::close(descriptor);
  CHECK(length > 0);
  text[length] = '\0';
  const char* line = std::strstr(text, name);
  CHECK(line != nullptr);
  return std::strtoull(line + std::strlen(name), nullptr, 10) << 10;
}

struct Hoard {
  explicit Hoard(std::size_t most = 1 << 15)
      : capacity(most), blocks(hz3test::map_zeroed<void*>(most)) {}
  std::size_t capacity;
  void** blocks;
  std::size_t count = 0;

  void keep(void* block, std::size_t size) {
    CHECK(count < capacity);
    hz3test::fill_pattern(block, size, size);
    blocks[count++] = block;
  }
  // Frees every block but those whose index is a multiple of `stride`.
  void thin_out(std::size_t stride, std::size_t size) {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < count; ++index) {
      CHECK(hz3test::has_pattern(blocks[index], size, size));
      if (stride != 0 && index % stride == 0) {
        blocks[kept++] = blocks[index];
      } else {
        heap::free(blocks[index]);
      }
    }
    count = kept;
  }
};

// Each way to ask for `size` bytes.
void* ask(unsigned way, std::size_t size) {
  void* block = nullptr;
  switch (way % 7) {
    case 0:
      return heap::malloc(size);
    case 1:
      return heap::calloc(1, size);
    case 2:
      return heap::realloc(nullptr, size);
    case 3:
      return heap::aligned_alloc(64, size);
    case 4:
      return opaque(::memalign(128, opaque(size)));
    case 5:
      return opaque(::reallocarray(nullptr, 1, opaque(size)));
    default:
      errno = ::posix_memalign(&block, 32, opaque(size));
      return block;
  }
}

// Takes blocks of one size until the answer is NULL with ENOMEM, thins them out, takes again.
void exhaust(Hoard& hoard, std::size_t size) {
  for (int round = 0; round < 3; ++round) {
    void* block = nullptr;
    for (unsigned way = 0;; ++way) {
      errno = 0;
      block = ask(way, size);
      if (block == nullptr) break;
      hoard.keep(block, size);
    }
    CHECK_EQ(errno, ENOMEM);
    CHECKF(hoard.count * size > kSpaceBytes / 8, "only %zu blocks of %zu bytes", hoard.count, size);
    for (unsigned way = 0; way < 14; ++way) CHECK(ask(way, kSpaceBytes * 2) == nullptr);
    const std::size_t had = hoard.count;
    hoard.thin_out(round == 0 ? 2 : 10, size);
    block = heap::malloc(size);
    CHECKF(block != nullptr, "nothing to be had after freeing %zu blocks of %zu bytes",
           had - hoard.count, size);
    hoard.keep(block, size);
  }
  hoard.thin_out(0, size);
}

void case_address_space() {
  live_in_small_space();
  Hoard hoard(kMaxBlocks);
  for (const std::size_t size : {std::size_t{48}, std::size_t{1000}, std::size_t{9000},
                                 std::size_t{70000}, std::size_t{500000}, 5 * kMiB}) {
    exhaust(hoard, size);
  }
}

void* exhaust_in_thread(void*) {
  constexpr std::size_t kSize = 20000;
  Hoard hoard;
  for (;;) {
    void* block = heap::malloc(kSize);
    if (block == nullptr) break;
    hoard.keep(block, kSize);
  }
  CHECK_EQ(errno, ENOMEM);
  hoard.thin_out(0, kSize);
  CHECK_EQ(::munmap(hoard.blocks, hoard.capacity * sizeof(void*)), 0);
  return nullptr;
}

// Eight threads run into the same limit at once; afterwards there is room again.
void case_threads() {
  constexpr int kThreads = 8;
  live_in_small_space();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kMiB / 4);
  for (int round = 0; round < 5; ++round) {
    pthread_t threads[kThreads];
    for (pthread_t& thread : threads) {
      CHECK_EQ(pthread_create(&thread, &attributes, exhaust_in_thread, nullptr), 0);
    }
    for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
    void* block = heap::malloc(kSpaceBytes / 20);
    CHECK(block != nullptr);
    heap::free(block);
  }
}

// The limit comes while the program runs: refused or not, nothing breaks.
void case_late_limit() {
  const rlimit limit{status_bytes("VmSize:") + 64 * kMiB, RLIM_INFINITY};
  CHECK_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
  Hoard hoard;
  while (hoard.count < 200) {
    errno = 0;
    void* block = ask(static_cast<unsigned>(hoard.count), kMiB + 5000);
    if (block == nullptr) break;
    hoard.keep(block, kMiB + 5000);
  }
  CHECK(hoard.count == 200 || errno == ENOMEM);
  CHECK(hoard.count > 20);
  hoard.thin_out(0, kMiB + 5000);
  CHECK(opaque(heap::malloc(kMiB)) != nullptr);
}

void case_realloc() {
  live_in_small_space();
  std::size_t size = 100;
  void* block = heap::malloc(size);
  hz3test::fill_pattern(block, size, size);
  for (;;) {
    errno = 0;
    void* moved = heap::realloc(block, size * 2);
    if (moved == nullptr) break;
    CHECK(hz3test::has_pattern(moved, size, size));
    size *= 2;
    block = moved;
    hz3test::fill_pattern(block, size, size);
  }
  CHECK_EQ(errno, ENOMEM);
  CHECKF(size >= kSpaceBytes / 16, "refused at %zu bytes", size * 2);
  CHECK(hz3test::has_pattern(block, size, size));
  CHECK(heap::realloc(block, 100) != nullptr);
}

int handler_calls = 0;
Hoard* reserve = nullptr;

void release_reserve() {
  ++handler_calls;
  if (reserve->count == 0) std::set_new_handler(nullptr);
  reserve->thin_out(0, 10 * kMiB);
}

// A new-handler that frees a reserve: the request that called it succeeds after all.
void case_new_handler() {
  live_in_small_space();
  Hoard hoard;
  reserve = &hoard;
  void* block = heap::malloc(10 * kMiB);
  for (; block != nullptr; block = heap::malloc(10 * kMiB)) hoard.keep(block, 10 * kMiB);
  std::set_new_handler(release_reserve);
  block = opaque(::operator new(20 * kMiB));
  CHECK(block != nullptr);
  CHECK_EQ(handler_calls, 1);
  bool thrown = false;
  try {
    ::operator delete(opaque(::operator new(opaque(2 * kSpaceBytes))));
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK_EQ(handler_calls, 2);
  ::operator delete(block);
}

// RLIMIT_DATA counts private writable memory: another way for the kernel to say no.
void case_data_limit() {
  constexpr std::size_t kSize = 100000;
  Hoard hoard;
  heap::free(heap::malloc(1));
  const std::size_t allowed = status_bytes("VmData:") + 100 * kMiB;
  const rlimit limit{allowed, allowed};
  CHECK_EQ(::setrlimit(RLIMIT_DATA, &limit), 0);
  for (;;) {
    errno = 0;
    void* block = heap::malloc(kSize);
    if (block == nullptr) break;
    hoard.keep(block, kSize);
    CHECKF(hoard.count < 4000, "no limit in sight after %zu blocks", hoard.count);
  }
  CHECK_EQ(errno, ENOMEM);
  CHECKF(hoard.count > 200, "only %zu blocks", hoard.count);
  hoard.thin_out(0, kSize);
  CHECK(opaque(heap::malloc(kSize)) != nullptr);
}

// More than the machine has: with the kernel's usual overcommit rule, malloc says so at once.
void case_beyond_machine() {
  struct sysinfo machine {};
  CHECK_EQ(::sysinfo(&machine), 0);
  const std::size_t all = (machine.totalram + machine.totalswap) * machine.mem_unit;
  for (const std::size_t request : {all * 2, all * 16, std::size_t{1} << 46}) {
    errno = 0;
    CHECKF(heap::malloc(request) == nullptr, "malloc(%zu) on a machine with %zu bytes", request,
           all);
    CHECK_EQ(errno, ENOMEM);
  }
}

// Every mapping the kernel grants is taken: mmap, munmap and mprotect fail all over the place.
void case_mappings() {
  constexpr std::size_t kPages = 140000;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Hoard before;
  for (std::size_t index = 0; index < 2000; ++index) {
    before.keep(heap::malloc(index % 20 == 0 ? 3 * kMiB : 3000), 3000);
  }
  char* area = hz3test::map_zeroed<char>(kPages * page);
  std::size_t cut = 0;
  while (cut < kPages && ::mprotect(area + cut * page, page, PROT_READ) == 0) cut += 2;
  if (cut >= kPages) hz3test::say(1, "the kernel allows more than %zu mappings\n", cut);
  before.thin_out(3, 3000);
  Hoard during;
  for (std::size_t index = 0; index < 3000; ++index) {
    void* block = ask(static_cast<unsigned>(index), index % 100 == 0 ? 700000 : 3000);
    if (block != nullptr) during.keep(block, 3000);
  }
  during.thin_out(0, 3000);
  ::malloc_trim(0);
  CHECK_EQ(::munmap(area, kPages * page), 0);
  before.thin_out(0, 3000);
  for (std::size_t size = 1; size < 64 * kMiB; size = size * 3 + 1) {
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    hz3test::fill_pattern(block, size, size);
    heap::free(block);
  }
}

// All later mappings are locked into memory: a reservation must not become resident by that.
void case_locked() {
  if (::mlockall(MCL_FUTURE) != 0) {
    hz3test::say(1, "mlockall is not permitted here\n");
    return;
  }
  for (std::size_t size = 1; size < 8 * kMiB; size = size * 2 + 1) {
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    hz3test::fill_pattern(block, size, size);
    heap::free(block);
  }
  CHECKF(hz3test::resident_bytes() < 300 * kMiB, "%zu MiB resident",
         hz3test::resident_bytes() / kMiB);
}

// Runs under whatever limit the caller has set: starts, works, refuses what does not fit.
void case_start() {
  Hoard hoard;
  while (hoard.count < 100) {
    void* block = heap::malloc(40000);
    CHECKF(block != nullptr, "refused at block %zu", hoard.count);
    hoard.keep(block, 40000);
  }
  CHECK(heap::malloc(std::size_t{1} << 48) == nullptr);
  CHECK_EQ(errno, ENOMEM);
  hoard.thin_out(0, 40000);
}

struct Case {
  const char* name;
  void (*run)();
};
constexpr Case kCases[] = {
    {"address_space", case_address_space},
    {"threads", case_threads},
    {"late_limit", case_late_limit},
    {"realloc", case_realloc},
    {"new_handler", case_new_handler},
    {"data_limit", case_data_limit},
    {"mappings", case_mappings},
    {"locked", case_locked},
    {"start", case_start},
    {"beyond_machine", case_beyond_machine},
};

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  arguments = argv;
  const bool listing = std::strcmp(argv[1], "--list") == 0;
  for (const Case& one : kCases) {
    if (listing) hz3test::say(1, "%s\n", one.name);
    if (std::strcmp(one.name, argv[1]) != 0) continue;
    one.run();
    hz3test::say(1, "done\n");
    return 0;
  }
  return listing ? 0 : 2;
}
