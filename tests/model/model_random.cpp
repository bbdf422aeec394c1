// Random programs of allocation calls against the model, on any number of threads.
//
//   model_random [--seed N] [--ops N] [--threads N] [--slots N] [--profile NAME] [--turn-knobs]
//   model_random --list ...       prints the operations of thread 0 instead of running them
//   model_random --replay FILE    runs a list of operations on one thread
//
// Operations are those of all threads together. On one thread the same seed is the same program; on
// several, each thread's program is, and their interleaving is the machine's.
#include <pthread.h>

#include "model/knob_turner.hpp"
#include "model/model.hpp"
#include "support/options.hpp"
#include "support/process.hpp"

namespace {

using hz3test::Operation;
using hz3test::Profile;
using hz3test::Random;
using hz3test::Runner;

struct Plan {
  std::uint64_t seed;
  std::uint64_t operations;  // per thread
  std::uint32_t slots;
  Profile profile;
  bool turn_knobs;  // thread 0 changes settings all the time
};

constexpr std::uint64_t kOperationsPerTurn = 500;

struct Worker {
  Plan plan;
  unsigned index;
  std::uint64_t bytes;
  pthread_t thread;
};

template <std::size_t count>
std::size_t find_name(const char* const (&names)[count], const char* wanted) {
  for (std::size_t index = 0; index < count; ++index) {
    if (std::strcmp(names[index], wanted) == 0) return index;
  }
  hz3test::fail(__FILE__, __LINE__, "unknown name: %s", wanted);
}

void run_plan(Worker& worker) {
  Random random(worker.plan.seed, worker.index);
  Runner runner(worker.plan.seed, worker.index, worker.plan.slots);
  hz3test::KnobTurner turner(worker.plan.seed);
  const bool turning = worker.plan.turn_knobs && worker.index == 0;
  for (std::uint64_t step = 0; step < worker.plan.operations; ++step) {
    if (turning && step % kOperationsPerTurn == 0) turner.turn();
    runner.run(hz3test::draw_operation(random, worker.plan.profile, worker.plan.slots));
  }
  runner.finish();
  worker.bytes = runner.bytes_allocated();
}

void* thread_main(void* argument) {
  run_plan(*static_cast<Worker*>(argument));
  return nullptr;
}

void list(const Plan& plan) {
  Random random(plan.seed, 0);
  for (std::uint64_t step = 0; step < plan.operations; ++step) {
    const Operation operation = hz3test::draw_operation(random, plan.profile, plan.slots);
    hz3test::say(1, "%s %u %zu %zu\n",
                 hz3test::kKindNames[static_cast<std::size_t>(operation.kind)], operation.slot,
                 operation.size, operation.alignment);
  }
}

void replay(const char* path, const Plan& plan) {
  FILE* file = std::fopen(path, "re");
  CHECKF(file != nullptr, "cannot read %s", path);
  Runner runner(plan.seed, 0, plan.slots);
  char kind[32];
  Operation operation{};
  while (std::fscanf(file, "%31s %u %zu %zu", kind, &operation.slot, &operation.size,
                     &operation.alignment) == 4) {
    operation.kind = static_cast<hz3test::Kind>(find_name(hz3test::kKindNames, kind));
    runner.run(operation);
  }
  runner.finish();
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const bool listing = options.flag("--list");
  const auto threads = static_cast<unsigned>(options.number("--threads", 1));
  Plan plan{};
  plan.operations = options.number("--ops", 1'000'000) / threads;
  plan.slots = static_cast<std::uint32_t>(options.number("--slots", 4000));
  plan.profile =
      static_cast<Profile>(find_name(hz3test::kProfileNames, options.text("--profile", "mixed")));
  plan.turn_knobs = options.flag("--turn-knobs");
  plan.seed = listing ? options.number("--seed", 1) : options.seed();
  if (listing) {
    list(plan);
    return 0;
  }
  if (const char* path = options.text("--replay", nullptr); path != nullptr) {
    replay(path, plan);
    return 0;
  }
  Worker* workers = hz3test::map_zeroed<Worker>(threads);
  for (unsigned index = 0; index < threads; ++index) {
    workers[index].plan = plan;
    workers[index].index = index;
    if (index > 0) {
      CHECK_EQ(pthread_create(&workers[index].thread, nullptr, thread_main, &workers[index]), 0);
    }
  }
  run_plan(workers[0]);
  std::uint64_t bytes = workers[0].bytes;
  for (unsigned index = 1; index < threads; ++index) {
    CHECK_EQ(pthread_join(workers[index].thread, nullptr), 0);
    bytes += workers[index].bytes;
  }
  // What was left in the exchange belongs to nobody: check and free it like the rest.
  Runner collector(plan.seed, threads, hz3test::Exchange::kSlots);
  for (std::uint32_t slot = 0; slot < hz3test::Exchange::kSlots; ++slot) {
    collector.run(Operation{hz3test::Kind::kHandOver, slot, 0, 0});
  }
  collector.finish();
  hz3test::say(1, "%llu operations on %u threads, %llu MiB allocated\n",
               static_cast<unsigned long long>(plan.operations * threads), threads,
               static_cast<unsigned long long>(bytes >> 20));
  return 0;
}
