// Threads and their common start. See team.h.
#include "team.h"

#include <stdlib.h>

#include <cstring>

#include "clock.h"
#include "fatal.h"
#include "mapped.h"
#include "phase.h"

namespace workload {
namespace {

// Small stacks keep thousands of threads cheap, and within what the C library caches and reuses.
constexpr std::size_t kStackBytes = std::size_t{256} * 1024;

struct Worker {
  StartGate* gate;
  WorkerEntry entry;
  void* context;
  std::uint64_t index;
  pthread_t thread;
};

void* run_worker(void* argument) {
  const auto& worker = *static_cast<Worker*>(argument);
  worker.gate->pass();
  worker.entry(worker.context, worker.index);
  return nullptr;
}

// A known loss, to test verdicts with: this share of the work's time is then spent doing nothing.
double handicap() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  const char* text = getenv("BENCH_HANDICAP_PERCENT");
  if (text == nullptr) return 0;
  char* end = nullptr;
  const double percent = strtod(text, &end);
  if (end == text || *end != '\0' || !(percent >= 0 && percent <= 1000)) {
    fatal("BENCH_HANDICAP_PERCENT is not a number from 0 to 1000: %s", text);
  }
  return percent / 100;
}

double end_of_work(std::uint64_t start_ns) {
  const double worked_s = seconds_since(start_ns);
  const double end_s = worked_s * (1 + handicap());
  double now_s = worked_s;
  while (now_s < end_s) now_s = seconds_since(start_ns);
  return now_s;
}

}  // namespace

void StartGate::pass() {
  pthread_mutex_lock(&mutex_);
  ++waiting_;
  pthread_cond_signal(&arrived_);
  while (!is_open_) pthread_cond_wait(&opened_, &mutex_);
  pthread_mutex_unlock(&mutex_);
}

std::uint64_t StartGate::open(std::uint64_t workers) {
  pthread_mutex_lock(&mutex_);
  while (waiting_ < workers) pthread_cond_wait(&arrived_, &mutex_);
  begin_work();
  const std::uint64_t start_ns = now_ns();
  is_open_ = true;
  pthread_cond_broadcast(&opened_);
  pthread_mutex_unlock(&mutex_);
  return start_ns;
}

pthread_t start_thread(void* (*entry)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread{};
  const int error = pthread_create(&thread, &attributes, entry, argument);
  pthread_attr_destroy(&attributes);
  if (error != 0) fatal("cannot create a thread (error %d); try fewer threads", error);
  return thread;
}

void join_thread(pthread_t thread) { pthread_join(thread, nullptr); }

double run_team(std::uint64_t workers, Spawn spawn, WorkerEntry entry, void* context) {
  if (workers == 1 && spawn == Spawn::kIfSeveral) {
    begin_work();
    const std::uint64_t start_ns = now_ns();
    entry(context, 0);
    return end_of_work(start_ns);
  }
  StartGate gate;
  MappedArray<Worker> team(workers);
  for (std::uint64_t i = 0; i < workers; ++i) {
    team[i] = {&gate, entry, context, i, {}};
    team[i].thread = start_thread(run_worker, &team[i]);
  }
  const std::uint64_t start_ns = gate.open(workers);
  for (const Worker& worker : team) join_thread(worker.thread);
  return end_of_work(start_ns);
}

}  // namespace workload
