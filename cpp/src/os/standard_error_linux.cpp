// System calls: fstat, poll. See standard_error.h.
#include "os/standard_error.h"

#include <poll.h>
#include <sys/stat.h>
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

}  // namespace

void remember_standard_error() {
  const int saved = errno;
  struct stat facts = {};
  known = fstat(STDERR_FILENO, &facts) == 0;
  device = facts.st_dev;
  inode = facts.st_ino;
  errno = saved;
}

bool standard_error_is_usable() {
  const int saved = errno;
  struct stat facts = {};
  bool usable =
      known && fstat(STDERR_FILENO, &facts) == 0 && facts.st_dev == device && facts.st_ino == inode;
  if (usable) {
    pollfd wanted = {STDERR_FILENO, POLLOUT, 0};
    usable = poll(&wanted, 1, kPatienceMs) == 1 && wanted.revents == POLLOUT;
  }
  errno = saved;
  return usable;
}

}  // namespace hz3::os
