// Builds and prints the result line. See report.h.
#include "report.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fatal.h"
#include "operators.h"

namespace workload {
namespace {

// The file of the loaded object that contains the address.
const char* object_of(const void* address) {
  Dl_info info{};
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "";
  return info.dli_fname;
}

// Where a call of malloc goes: the proof that a preload took.
const char* malloc_object() { return object_of(dlsym(RTLD_DEFAULT, "malloc")); }

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

}  // namespace

Report::Report(const Arguments& arguments) {
  json_.open_object();
  json_.field("schema", std::uint64_t{1});
  json_.field("workload", arguments.name());
  arguments.write_json(json_);
  json_.field("touch", kTouchWords[static_cast<unsigned>(arguments.common.touch)]);
  json_.field("threads", arguments.common.threads);
  json_.field("seed", arguments.common.seed);
}

void Report::rate(std::uint64_t ops, double seconds, std::uint64_t failed) {
  result(ops, seconds, "ops/s", per_second(static_cast<double>(ops), seconds), failed);
}

void Report::timed(double share, std::uint64_t ops, double seconds, std::uint64_t failed) {
  result(ops, seconds, "1/s", per_second(share, seconds), failed);
}

void Report::operator_object() {
  json_.field("operator_object", weak_array_new != nullptr
                                     ? object_of(reinterpret_cast<const void*>(weak_array_new))
                                     : malloc_object());
}

void Report::result(std::uint64_t ops, double seconds, const char* unit, double throughput,
                    std::uint64_t failed) {
  json_.field("ops", ops);
  json_.field("seconds", seconds);
  json_.field("unit", unit);
  json_.field("throughput", throughput);
  json_.field("failed", failed);
  json_.field("malloc_object", malloc_object());
}

int Report::print(const LatencyTable& latency) {
  latency.write_json(json_);
  json_.close_object();
  json_.end_line();
  if (!write_all(STDOUT_FILENO, json_.text(), json_.size())) {
    fatal("cannot write the result to standard output; check the disk or the reader of the pipe");
  }
  return 0;
}

std::uint64_t resident_kb() {
  const int descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  char text[128];
  const ssize_t size = read(descriptor, text, sizeof(text) - 1);
  close(descriptor);
  if (size <= 0) return 0;
  text[size] = '\0';
  char* end = nullptr;
  strtoull(text, &end, 10);  // the first number is the size of the address space
  const std::uint64_t pages = strtoull(end, nullptr, 10);
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

}  // namespace workload
