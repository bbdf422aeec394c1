// Parses the command line of hz3-exec; see options.h.
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace hz3::launcher {
namespace {

constexpr char kHelp[] =
    "usage: hz3-exec [options] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Starts PROGRAM, waits for it, and reports what it cost as one JSON line.\n"
    "\n"
    "  --preload PATH     preload this library; an LD_PRELOAD that is set comes after it\n"
    "  --env NAME=VALUE   set a variable (repeatable)\n"
    "  --unset NAME       remove a variable (repeatable)\n"
    "  --affinity LIST    CPUs to run on, for example 0,2-3\n"
    "  --cwd FOLDER       working folder\n"
    "  --timeout SECONDS  end the process group after this time: TERM, two seconds later KILL\n"
    "  --report FILE      write the report to FILE\n"
    "  --report-fd N      write the report to the open descriptor N\n"
    "  --pid-fd N         write the process id to descriptor N as soon as PROGRAM runs\n"
    "  --no-trace         leave ptrace free for a debugger; the peak then comes from wait4\n"
    "  --help             this text\n"
    "\n"
    "exit status: that of PROGRAM; 128 + N if signal N killed it; 124 timeout; 125 wrong use;\n"
    "126 PROGRAM is not executable; 127 PROGRAM was not found\n";

double parse_seconds(const char* text) {
  char* end = nullptr;
  const double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds > 0) || seconds > 1e9) {
    fail("--timeout takes a number of seconds above 0, not '%s'", text);
  }
  return seconds;
}

int parse_descriptor(const char* option, const char* text) {
  char* end = nullptr;
  const long number = strtol(text, &end, 10);
  if (end == text || *end != '\0' || number < 0 || number > 1'000'000 ||
      fcntl(static_cast<int>(number), F_SETFD, FD_CLOEXEC) != 0) {
    fail("%s takes an open descriptor, not '%s'", option, text);
  }
  return static_cast<int>(number);
}

int open_report(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    fail("cannot write the report '%s': %s", path, strerror(errno));
  }
  return fd;
}

// Reads one CPU number and moves text behind it.
long parse_cpu(const char** text, const char* list) {
  char* end = nullptr;
  const long cpu = strtol(*text, &end, 10);
  if (end == *text || cpu < 0 || cpu >= CPU_SETSIZE) {
    fail("--affinity takes CPU numbers such as 0,2-3, not '%s'", list);
  }
  *text = end;
  return cpu;
}

void parse_affinity(const char* list, cpu_set_t* set) {
  CPU_ZERO(set);
  const char* text = list;
  while (true) {
    const long first = parse_cpu(&text, list);
    long last = first;
    if (*text == '-') {
      ++text;
      last = parse_cpu(&text, list);
    }
    for (long cpu = first; cpu <= last; ++cpu) {
      CPU_SET(static_cast<size_t>(cpu), set);
    }
    if (*text == '\0' && last >= first) {
      return;
    }
    if (*text != ',' || last < first) {
      fail("--affinity takes CPU numbers such as 0,2-3, not '%s'", list);
    }
    ++text;
  }
}

void set_variable(char* assignment) {
  char* equals = strchr(assignment, '=');
  if (equals == nullptr || equals == assignment) {
    fail("--env takes NAME=VALUE, not '%s'", assignment);
  }
  *equals = '\0';
  if (setenv(assignment, equals + 1, 1) != 0) {
    fail("cannot set '%s': %s", assignment, strerror(errno));
  }
  *equals = '=';
}

// Applies an option that takes a value. False if there is no such option.
bool apply(Options* options, const char* name, char* value) {
  if (strcmp(name, "--preload") == 0) {
    options->preload = value;
  } else if (strcmp(name, "--env") == 0) {
    set_variable(value);
  } else if (strcmp(name, "--unset") == 0) {
    unsetenv(value);
  } else if (strcmp(name, "--affinity") == 0) {
    parse_affinity(value, &options->affinity);
    options->has_affinity = true;
  } else if (strcmp(name, "--cwd") == 0) {
    options->working_folder = value;
  } else if (strcmp(name, "--timeout") == 0) {
    options->timeout_s = parse_seconds(value);
  } else if (strcmp(name, "--report") == 0) {
    options->report_fd = open_report(value);
  } else if (strcmp(name, "--report-fd") == 0) {
    options->report_fd = parse_descriptor(name, value);
  } else if (strcmp(name, "--pid-fd") == 0) {
    options->pid_fd = parse_descriptor(name, value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("hz3-exec: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(kExitUsage);
}

Options parse_options(int argc, char** argv) {
  Options options;
  int index = 1;
  for (; index < argc && strcmp(argv[index], "--") != 0; ++index) {
    const char* name = argv[index];
    if (strcmp(name, "--help") == 0) {
      fputs(kHelp, stdout);
      exit(0);
    }
    if (strcmp(name, "--no-trace") == 0) {
      options.trace = false;
    } else if (index + 1 >= argc || !apply(&options, name, argv[++index])) {
      fail("'%s' is not an option, or lacks its value; put -- before the program, see --help",
           name);
    }
  }
  if (index + 1 >= argc) {
    fail("no program given: hz3-exec [options] -- PROGRAM [ARGUMENT...]");
  }
  options.program = argv + index + 1;
  return options;
}

}  // namespace hz3::launcher
