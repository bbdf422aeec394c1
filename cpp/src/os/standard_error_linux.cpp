// System calls: fstat, poll. See standard_error.h. fstat goes through syscall(), because it is
// called at start: libc's own would make 64 KiB more of libc count as resident
// (os/memory_linux.cpp).
#include "os/standard_error.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace hz3::os {
namespace {

// Written once, by the thread that boots the allocator.
constinit bool known = false;
constinit dev_t device = 0;
constinit ino_t inode = 0;

// A reader that is merely slow gets this long.
constexpr int kPatienceMs = 100;

// The kernel's own structure, which is libc's on 64-bit Linux.
bool look_at_standard_error(struct stat* facts) {
  return syscall(SYS_fstat, STDERR_FILENO, facts) == 0;
}

}  // namespace

void remember_standard_error() {
  const int saved = errno;
  struct stat facts = {};
  known = look_at_standard_error(&facts);
  device = facts.st_dev;
  inode = facts.st_ino;
  errno = saved;
}

bool standard_error_is_usable() {
  const int saved = errno;
  struct stat facts = {};
  bool usable =
      known && look_at_standard_error(&facts) && facts.st_dev == device && facts.st_ino == inode;
  if (usable) {
    pollfd wanted = {STDERR_FILENO, POLLOUT, 0};
    usable = poll(&wanted, 1, kPatienceMs) == 1 && wanted.revents == POLLOUT;
  }
  errno = saved;
  return usable;
}

}  // namespace hz3::os
