// Forks the child and walks it to execve; see child.h.
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace hz3::launcher {
namespace {

constexpr char kGo = 'g';
constexpr char kGoAndDieWithLauncher = 'd';

[[noreturn]] void give_up(int error_fd, StartError::Step step) {
  const StartError error = {errno, step};
  // The pipe is empty and the launcher holds its other end, so this cannot fall short.
  const ssize_t written = write(error_fd, &error, sizeof error);
  _exit(written == sizeof error ? exit_status(error) : kExitUsage);
}

[[noreturn]] void run_child(const Options& options, const sigset_t& signal_mask, int gate_fd,
                            int error_fd) {
  char message = '\0';
  if (read(gate_fd, &message, 1) != 1) {
    _exit(kExitUsage);  // the launcher is gone
  }
  if (message == kGoAndDieWithLauncher) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  if (options.has_affinity &&
      sched_setaffinity(0, sizeof options.affinity, &options.affinity) != 0) {
    give_up(error_fd, StartError::Step::kAffinity);
  }
  if (options.working_folder != nullptr && chdir(options.working_folder) != 0) {
    give_up(error_fd, StartError::Step::kFolder);
  }
  sigprocmask(SIG_SETMASK, &signal_mask, nullptr);
  execvp(options.program[0], options.program);
  give_up(error_fd, StartError::Step::kExec);
}

}  // namespace

Child fork_child(const Options& options, const sigset_t& signal_mask, bool own_group) {
  int gate[2];
  int error[2];
  if (pipe2(gate, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
    fail("cannot make a pipe: %s", strerror(errno));
  }
  const pid_t pid = fork();
  if (pid < 0) {
    fail("cannot start a process: %s", strerror(errno));
  }
  if (pid == 0) {
    close(gate[1]);
    close(error[0]);
    if (own_group) {
      setpgid(0, 0);
    }
    run_child(options, signal_mask, gate[0], error[1]);
  }
  close(gate[0]);
  close(error[1]);
  if (own_group) {
    setpgid(pid, pid);  // both sides do it, so that neither has to wait for the other
  }
  return {pid, gate[1], error[0]};
}

void open_gate(Child* child, bool die_with_launcher) {
  const char message = die_with_launcher ? kGoAndDieWithLauncher : kGo;
  if (write(child->gate_fd, &message, 1) != 1) {
    fail("lost the process before it started: %s", strerror(errno));
  }
  close(child->gate_fd);
  child->gate_fd = -1;
}

bool read_start_error(const Child& child, StartError* error) {
  return read(child.error_fd, error, sizeof *error) == sizeof *error;
}

const char* describe(const StartError& error, const Options& options) {
  static char text[2 * PATH_MAX];
  const char* reason = strerror(error.code);
  switch (error.step) {
    case StartError::Step::kFolder:
      snprintf(text, sizeof text, "cannot enter '%s': %s", options.working_folder, reason);
      break;
    case StartError::Step::kAffinity:
      snprintf(text, sizeof text, "cannot run on the CPUs of --affinity: %s", reason);
      break;
    case StartError::Step::kExec:
      snprintf(text, sizeof text, "cannot run '%s': %s", options.program[0], reason);
      break;
  }
  return text;
}

int exit_status(const StartError& error) {
  if (error.step != StartError::Step::kExec) {
    return kExitUsage;
  }
  return error.code == ENOENT || error.code == ENOTDIR ? kExitNotFound : kExitNotExecutable;
}

}  // namespace hz3::launcher
