// The wait loop: exit stop, signals, timeout; see supervisor.h.
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_info.h"

namespace hz3::launcher {
namespace {

constexpr double kGraceSeconds = 2.0;  // between SIGTERM and SIGKILL
constexpr double kFirstLookSeconds = 0.02;
constexpr double kLookSeconds = 0.2;

// Forwarded to the program. SIGCHLD only wakes the loop.
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

double now_s() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Whether a terminal counts this process among those in front. The program then stays in our
// group: the terminal's keys reach it, and a pipeline around us keeps working.
bool is_in_foreground() {
  const int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC);
  if (terminal < 0) {
    return false;
  }
  const bool in_front = tcgetpgrp(terminal) == getpgrp();
  close(terminal);
  return in_front;
}

bool is_stop_signal(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

}  // namespace

Supervisor::Supervisor(const Options& options, const char* preload)
    : options_(options),
      // A timeout ends a whole group, so that group must not be ours.
      own_group_(options.timeout_s > 0 || !is_in_foreground()),
      term_at_s_(INFINITY),
      kill_at_s_(INFINITY),
      look_at_s_(INFINITY) {
  report_.preload = preload;
  sigemptyset(&taken_signals_);
  sigaddset(&taken_signals_, SIGCHLD);
  for (const int signal : kForwarded) {
    sigaddset(&taken_signals_, signal);
  }
}

Report Supervisor::run() {
  start();
  while (!reap()) {
    const double wait_s = next_deadline_s() - now_s();
    siginfo_t info;
    int taken = -1;
    if (wait_s == INFINITY) {
      taken = sigwaitinfo(&taken_signals_, &info);
    } else if (wait_s > 0) {
      const double whole_s = floor(wait_s);
      const timespec timeout = {static_cast<time_t>(whole_s),
                                static_cast<long>((wait_s - whole_s) * 1e9)};
      taken = sigtimedwait(&taken_signals_, &info, &timeout);
    }
    if (taken > 0 && taken != SIGCHLD) {
      forward(info);
    }
    check_deadlines(now_s());
  }
  return report_;
}

void Supervisor::start() {
  sigset_t program_mask;
  sigprocmask(SIG_BLOCK, &taken_signals_, &program_mask);
  child_ = fork_child(options_, program_mask, own_group_);
  signal(SIGPIPE, SIG_IGN);  // the reader of a report may be gone; the program has its own setting
  report_.pid = child_.pid;
  traced_ = options_.trace && attach();
  started_at_s_ = now_s();
  if (options_.timeout_s > 0) {
    term_at_s_ = started_at_s_ + options_.timeout_s;
  }
  open_gate(&child_, !traced_);
  if (!traced_) {
    // A traced child says by a stop that it has started, and may stop before that.
    StartError error;
    if (!read_start_error(child_, &error)) {
      on_started();
      look_at_s_ = started_at_s_ + kFirstLookSeconds;
    } else {
      report_.error = describe(error, options_);
    }
  }
}

// Attaches to the child's main thread, to be told of execve and to hold it at its end. Only
// signals to that one thread then pass through here; system calls run at full speed.
bool Supervisor::attach() {
  if (geteuid() != 0 && gains_privileges(options_.program[0])) {
    return false;
  }
  constexpr long kEvents = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
  return ptrace(PTRACE_SEIZE, child_.pid, nullptr, kEvents) == 0;
}

// Takes all news of the child. True once it has ended.
bool Supervisor::reap() {
  const int options = WNOHANG | __WALL | (traced_ ? 0 : WUNTRACED);
  int status = 0;
  pid_t pid = 0;
  while ((pid = wait4(child_.pid, &status, options, &report_.usage)) == child_.pid) {
    if (!WIFSTOPPED(status)) {
      finish(status);
      return true;
    }
    on_stop(status);
  }
  if (pid < 0 && errno != EINTR) {
    fail("lost the program: %s", strerror(errno));
  }
  return false;
}

void Supervisor::finish(int status) {
  report_.wall_s = now_s() - started_at_s_;
  if (WIFEXITED(status)) {
    report_.exit_code = WEXITSTATUS(status);
  } else {
    report_.signal = WTERMSIG(status);
  }
  StartError error;
  if (traced_ && !started_ && read_start_error(child_, &error)) {
    report_.error = describe(error, options_);
  }
  if (report_.timed_out) {
    signal_program(SIGKILL);  // what is left of its group
  }
}

void Supervisor::on_stop(int status) {
  // An untraced program that is stopped is woken by whoever stopped it.
  if (traced_) {
    on_trace_stop(status);
  }
}

void Supervisor::on_trace_stop(int status) {
  const int event = status >> 16;
  const int signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_STOP && is_stop_signal(signal)) {
    ptrace(PTRACE_LISTEN, child_.pid, nullptr, nullptr);  // stays stopped until SIGCONT
    return;
  }
  if (event == PTRACE_EVENT_EXEC && !started_) {
    on_started();
  } else if (event == PTRACE_EVENT_EXIT && started_) {
    on_exit_stop();
  }
  // A stop without an event stands before the delivery of a signal: hand it on.
  const long delivered = event == 0 ? signal : 0;
  ptrace(PTRACE_CONT, child_.pid, nullptr, delivered);
}

void Supervisor::on_started() {
  started_ = true;
  if (options_.pid_fd >= 0) {
    dprintf(options_.pid_fd, "%d\n", static_cast<int>(child_.pid));
    close(options_.pid_fd);
  }
}

void Supervisor::on_exit_stop() {
  if (report_.preload != nullptr) {
    report_.preload_mapped = maps_file(child_.pid, report_.preload);
  }
  // A program may outlive its main thread; its peak is then still to come.
  if (!has_living_threads(child_.pid)) {
    report_.exit_stop_peak_kb = read_peak_kb(child_.pid);
  }
}

void Supervisor::forward(const siginfo_t& info) const {
  // What the terminal sends reaches a program in our own group without us.
  if (own_group_ || info.si_code != SI_KERNEL) {
    signal_program(info.si_signo);
  }
}

void Supervisor::check_deadlines(double now_s) {
  if (now_s >= term_at_s_) {
    report_.timed_out = true;
    term_at_s_ = INFINITY;
    kill_at_s_ = now_s + kGraceSeconds;
    signal_program(SIGTERM);
    signal_program(SIGCONT);  // a stopped program cannot hear it
  }
  if (now_s >= kill_at_s_) {
    kill_at_s_ = INFINITY;
    signal_program(SIGKILL);
  }
  if (now_s >= look_at_s_) {
    look_at_running(now_s);
  }
}

// Without an exit stop the proof of the preload has to be had while the program runs.
void Supervisor::look_at_running(double now_s) {
  if (report_.preload != nullptr) {
    report_.preload_mapped = maps_file(child_.pid, report_.preload);
  }
  const bool is_settled = report_.preload == nullptr || report_.preload_mapped == 1;
  look_at_s_ = is_settled ? INFINITY : now_s + kLookSeconds;
}

double Supervisor::next_deadline_s() const {
  return fmin(fmin(term_at_s_, kill_at_s_), look_at_s_);
}

void Supervisor::signal_program(int signal) const {
  kill(own_group_ ? -child_.pid : child_.pid, signal);
}

}  // namespace hz3::launcher
