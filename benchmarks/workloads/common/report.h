// The result of a workload: one JSON line on stdout. Used by the main thread after the work.
#pragma once

#include <cstdint>

#include "arguments.h"
#include "json.h"
#include "latency.h"

namespace workload {

class Report {
 public:
  explicit Report(const Arguments& arguments);

  // Exactly one of the two says what was done.
  // Rate workloads: unit "ops/s", throughput = ops / seconds.
  void rate(std::uint64_t ops, double seconds, std::uint64_t failed);
  // Timed workloads: unit "1/s"; `share` is how much of the asked work was done (1 unless --seconds
  // cut it short or prolonged it), throughput = share / seconds.
  void timed(double share, std::uint64_t ops, double seconds, std::uint64_t failed);

  // Says where a call of array new goes, as "operator_object"; malloc's object where nobody defines
  // the operators.
  void operator_object();

  // Further fields of the result go here.
  JsonWriter& extras() { return json_; }

  // Completes and prints the line; returns the exit status of the program.
  int print(const LatencyTable& latency);

 private:
  void result(std::uint64_t ops, double seconds, const char* unit, double throughput,
              std::uint64_t failed);

  JsonWriter json_;
};

// Resident memory of this process now, in KiB; 0 where /proc is missing.
std::uint64_t resident_kb();

}  // namespace workload
