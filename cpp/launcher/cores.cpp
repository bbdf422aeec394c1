// hz3-cores: says how long a cache line takes from one CPU to another and back.
//
// What threads cost each other depends on it, and a hypervisor that moves its virtual CPUs about
// changes it severalfold within minutes, unseen otherwise. Two threads per pair of CPUs: one asks,
// one answers, each bound to its CPU; everything they share is one cache line.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <atomic>

namespace {

constexpr unsigned kRounds = 5;  // the quickest counts: the others were disturbed
constexpr unsigned kTripsPerRound = 400;
constexpr double kMostNs = 50e6;  // then another program has one of the CPUs
constexpr unsigned kSpinsPerLook = 4096;
constexpr unsigned kMostPairs = 3;

// Odd: asked; even: answered.
struct alignas(128) Line {
  std::atomic<unsigned> turn{0};
  std::atomic<bool> over{false};
};

double now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

cpu_set_t only(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return set;
}

void* answer(void* context) {
  Line& line = *static_cast<Line*>(context);
  while (!line.over.load(std::memory_order_relaxed)) {
    const unsigned turn = line.turn.load(std::memory_order_acquire);
    if (turn % 2 == 1) line.turn.store(turn + 1, std::memory_order_release);
  }
  return nullptr;
}

// False when the answer did not come in time.
bool ask(Line& line, double deadline_ns) {
  const unsigned asked = line.turn.load(std::memory_order_relaxed) + 1;
  line.turn.store(asked, std::memory_order_release);
  for (unsigned spins = 1; line.turn.load(std::memory_order_acquire) == asked; ++spins) {
    if (spins % kSpinsPerLook == 0 && now_ns() > deadline_ns) return false;
  }
  return true;
}

// Nanoseconds of a trip to and fro; negative when it could not be measured.
double trip_ns(Line& line) {
  const double deadline_ns = now_ns() + kMostNs;
  if (!ask(line, deadline_ns)) return -1;  // from here on the other thread runs
  double best_ns = -1;
  for (unsigned round = 0; round < kRounds; ++round) {
    const double start_ns = now_ns();
    for (unsigned trip = 0; trip < kTripsPerRound; ++trip) {
      if (!ask(line, deadline_ns)) return best_ns;
    }
    const double mean_ns = (now_ns() - start_ns) / kTripsPerRound;
    if (best_ns < 0 || mean_ns < best_ns) best_ns = mean_ns;
  }
  return best_ns;
}

double measure(int from, int to) {
  static Line line;
  line.turn.store(0);
  line.over.store(false);
  const cpu_set_t here = only(from);
  const cpu_set_t there = only(to);
  pthread_attr_t attributes;
  pthread_t thread;
  if (sched_setaffinity(0, sizeof here, &here) != 0) return -1;
  pthread_attr_init(&attributes);
  pthread_attr_setaffinity_np(&attributes, sizeof there, &there);
  const int error = pthread_create(&thread, &attributes, answer, &line);
  pthread_attr_destroy(&attributes);
  if (error != 0) return -1;
  const double found_ns = trip_ns(line);
  line.over.store(true);
  pthread_join(thread, nullptr);
  return found_ns;
}

// The CPUs to reach from the first one: its neighbour, one half-way, the last. Returns how many.
unsigned partners(const cpu_set_t& usable, int* first, int (&found)[kMostPairs]) {
  const int count = CPU_COUNT(&usable);
  const int wanted[kMostPairs] = {1, count / 2, count - 1};
  unsigned pairs = 0;
  int place = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<size_t>(cpu), &usable)) continue;
    if (place == 0) *first = cpu;
    const bool is_wanted = place == wanted[0] || place == wanted[1] || place == wanted[2];
    if (place != 0 && is_wanted) found[pairs++] = cpu;
    ++place;
  }
  return pairs;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1) {
    const bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fprintf(
        help ? stdout : stderr,
        "usage: hz3-cores\n\n"
        "Prints one JSON line: pairs of CPUs, each with the nanoseconds that a cache line takes\n"
        "from the one to the other and back (null: they were busy).\n");
    return help ? 0 : 125;
  }
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) {
    perror("hz3-cores: cannot ask which CPUs may be used");
    return 1;
  }
  int first = 0;
  int others[kMostPairs] = {};
  const unsigned pairs = partners(usable, &first, others);
  fputs("{\"schema\":1,\"pairs\":[", stdout);
  for (unsigned i = 0; i < pairs; ++i) {
    const double found_ns = measure(first, others[i]);
    printf("%s{\"from\":%d,\"to\":%d,\"trip_ns\":", i == 0 ? "" : ",", first, others[i]);
    if (found_ns < 0) {
      fputs("null}", stdout);
    } else {
      printf("%.1f}", found_ns);
    }
  }
  fputs("]}\n", stdout);
  return 0;
}
