// For the files of this folder alone: errno as it was before a system call.
#pragma once

#include <cerrno>

namespace hz3::os {

// The allocation functions promise their own errno; a system call's must not leak out.
class KeepErrno {
 public:
  KeepErrno() : saved_(errno) {}
  ~KeepErrno() { errno = saved_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int saved_;
};

}  // namespace hz3::os
