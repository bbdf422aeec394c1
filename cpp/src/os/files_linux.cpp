// Files, shared pages and the signal on Linux. System calls used: open, close, read, write, unlink,
// fallocate, mmap, munmap, getpid, geteuid, clock_gettime, sigaction.
#include "os/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "os/keep_errno.h"

namespace hz3::os {
namespace {

int open_file(const char* path, int flags, mode_t mode) {
  for (;;) {
    const int file = ::open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    if (file >= 0) return file;
    if (errno != EINTR) return kNoFile;
  }
}

}  // namespace

int open_to_read(const char* path) {
  const KeepErrno keep;
  return open_file(path, O_RDONLY, 0);
}

int open_to_write(const char* path, bool append) {
  const KeepErrno keep;
  return open_file(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0666);
}

void close_file(int file) {
  const KeepErrno keep;
  ::close(file);
}

std::size_t read_file(int file, char* buffer, std::size_t bytes) {
  const KeepErrno keep;
  for (;;) {
    const ssize_t got = ::read(file, buffer, bytes);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return 0;
  }
}

bool write_file(int file, const char* buffer, std::size_t bytes) {
  const KeepErrno keep;
  while (bytes != 0) {
    const ssize_t written = ::write(file, buffer, bytes);
    if (written > 0) {
      buffer += written;
      bytes -= static_cast<std::size_t>(written);
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

void* publish(const char* path, std::size_t bytes) {
  const KeepErrno keep;
  constexpr int kFresh = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
  int file = open_file(path, kFresh, 0600);
  if (file == kNoFile && errno == EEXIST && ::unlink(path) == 0) {
    file = open_file(path, kFresh, 0600);
  }
  if (file == kNoFile) return nullptr;
  void* address = MAP_FAILED;
  if (::fallocate(file, 0, 0, static_cast<off_t>(bytes)) == 0) {
    address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  ::close(file);
  if (address != MAP_FAILED) return address;
  ::unlink(path);
  return nullptr;
}

void unmap_published(void* address, std::size_t bytes) {
  const KeepErrno keep;
  ::munmap(address, bytes);
}

void remove_file(const char* path) {
  const KeepErrno keep;
  ::unlink(path);
}

unsigned process_id() { return static_cast<unsigned>(::getpid()); }
unsigned user_id() { return static_cast<unsigned>(::geteuid()); }

std::uint64_t boot_clock_ns() {
  const KeepErrno keep;
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

void on_request_signal(void (*handler)(int)) {
  const KeepErrno keep;
  struct sigaction present = {};
  if (::sigaction(SIGUSR2, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) return;
  struct sigaction ours = {};
  ours.sa_handler = handler;
  ours.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR2, &ours, nullptr);
}

}  // namespace hz3::os
