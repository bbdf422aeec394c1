// Watches over one program from its start to its end.
//
// Holds all state of a run: the child, deadlines, what was seen at the exit stop. One thread; every
// signal is blocked and taken synchronously, so that there is no handler and no race.
#pragma once

#include <signal.h>
#include <time.h>

#include "child.h"
#include "options.h"
#include "report.h"

namespace hz3::launcher {

class Supervisor {
 public:
  explicit Supervisor(const Options& options, const char* preload);

  // Runs the program and returns when it has ended. Called once.
  Report run();

 private:
  void start();
  bool attach();
  bool reap();
  void finish(int status);
  void on_stop(int status);
  void on_trace_stop(int status);
  void on_started();
  void on_exit_stop();
  void forward(const siginfo_t& info) const;
  void check_deadlines(double now_s);
  void look_at_running(double now_s);
  double next_deadline_s() const;
  void signal_program(int signal) const;

  const Options& options_;
  Report report_;
  Child child_;
  sigset_t taken_signals_;
  bool own_group_;
  bool traced_ = false;
  bool started_ = false;
  double started_at_s_ = 0;
  double term_at_s_;  // when the program gets SIGTERM; infinity without a timeout
  double kill_at_s_;  // when it gets SIGKILL
  double look_at_s_;  // when an untraced program is looked at next
};

}  // namespace hz3::launcher
