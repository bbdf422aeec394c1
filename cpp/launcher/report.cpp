// Writes the JSON line; see report.h.
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

namespace hz3::launcher {
namespace {

void write_text(FILE* out, const char* text) {
  if (text == nullptr) {
    fputs("null", out);
    return;
  }
  fputc('"', out);
  for (; *text != '\0'; ++text) {
    const unsigned char byte = static_cast<unsigned char>(*text);
    if (byte == '"' || byte == '\\') {
      fprintf(out, "\\%c", byte);
    } else if (byte < 0x20) {
      fprintf(out, "\\u%04x", static_cast<unsigned>(byte));
    } else {
      fputc(byte, out);
    }
  }
  fputc('"', out);
}

void write_number_or_null(FILE* out, const char* key, int number, bool is_known) {
  fprintf(out, ",\"%s\":", key);
  if (is_known) {
    fprintf(out, "%d", number);
  } else {
    fputs("null", out);
  }
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

void write_costs(FILE* out, const Report& report) {
  const rusage& usage = report.usage;
  const bool at_exit_stop = report.exit_stop_peak_kb >= 0;
  fprintf(out, ",\"wall_s\":%.6f,\"user_s\":%.6f,\"sys_s\":%.6f", report.wall_s,
          seconds(usage.ru_utime), seconds(usage.ru_stime));
  fprintf(out, ",\"minor_faults\":%ld,\"major_faults\":%ld", usage.ru_minflt, usage.ru_majflt);
  fprintf(out, ",\"voluntary_switches\":%ld,\"involuntary_switches\":%ld", usage.ru_nvcsw,
          usage.ru_nivcsw);
  fprintf(out, ",\"vm_hwm_kb\":%ld,\"hwm_source\":\"%s\"",
          at_exit_stop ? report.exit_stop_peak_kb : usage.ru_maxrss,
          at_exit_stop ? "exit-stop" : "rusage");
}

}  // namespace

void write_report(int fd, const Report& report) {
  FILE* out = fdopen(fd, "w");
  if (out != nullptr) {
    fprintf(out, "{\"schema\":1,\"pid\":%d", static_cast<int>(report.pid));
    write_number_or_null(out, "exit_code", report.exit_code, report.exit_code >= 0);
    write_number_or_null(out, "signal", report.signal, report.signal != 0);
    fprintf(out, ",\"timed_out\":%s", report.timed_out ? "true" : "false");
    write_costs(out, report);
    fputs(",\"preload\":", out);
    write_text(out, report.preload);
    fprintf(out, ",\"preload_mapped\":%s",
            report.preload_mapped < 0    ? "null"
            : report.preload_mapped == 1 ? "true"
                                         : "false");
    fputs(",\"error\":", out);
    write_text(out, report.error);
    fputs("}\n", out);
    if (ferror(out) == 0 && fclose(out) == 0) {
      return;
    }
  }
  fprintf(stderr, "hz3-exec: cannot write the report: %s\n", strerror(errno));
}

}  // namespace hz3::launcher
