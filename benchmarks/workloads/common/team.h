// Worker threads that start together. The main thread owns a team; each worker gets its index.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <type_traits>

namespace workload {

// pthread_create and pthread_join; a refusal ends the program with one line.
pthread_t start_thread(void* (*entry)(void*), void* argument);
void join_thread(pthread_t thread);

// Workers wait at the gate until the main thread has seen all of them there and opens it. The main
// thread reads its clock before opening, so no work can happen outside the measured time.
class StartGate {
 public:
  StartGate() = default;
  StartGate(const StartGate&) = delete;
  StartGate& operator=(const StartGate&) = delete;

  void pass();
  // Waits for the workers, marks the begin of the work, opens; returns the time of that.
  std::uint64_t open(std::uint64_t workers);

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t arrived_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t opened_ = PTHREAD_COND_INITIALIZER;
  std::uint64_t waiting_ = 0;  // guarded by mutex_, as is is_open_
  bool is_open_ = false;
};

enum class Spawn {
  kAlways,    // one thread per worker
  kIfSeveral  // a single worker runs on the main thread: the process stays single-threaded
};

using WorkerEntry = void (*)(void* context, std::uint64_t worker);
double run_team(std::uint64_t workers, Spawn spawn, WorkerEntry entry, void* context);

// Runs body(worker) for worker = 0 ... workers - 1 and returns the seconds from the common start to
// the last join. Creating the threads is not in that time; their exit is. Marks the begin of the
// work.
template <class Body>
double run_team(std::uint64_t workers, Spawn spawn, Body&& body) {
  const auto entry = [](void* context, std::uint64_t worker) {
    (*static_cast<std::remove_reference_t<Body>*>(context))(worker);
  };
  return run_team(workers, spawn, entry, const_cast<void*>(static_cast<const void*>(&body)));
}

// All `count` threads wait for each other; reusable.
class Barrier {
 public:
  explicit Barrier(std::uint64_t count) {
    pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(count));
  }
  ~Barrier() { pthread_barrier_destroy(&barrier_); }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  void wait() { pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

}  // namespace workload
