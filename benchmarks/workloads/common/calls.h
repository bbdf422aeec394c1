// The allocator calls that a workload makes: which functions (an Api) and whether single calls are
// timed (a Probe). Both are template parameters, so a plain run executes nothing but the calls. One
// thread owns a Calls object.
#pragma once

#include <malloc.h>
#include <stdlib.h>

#include <cstddef>

#include "arguments.h"
#include "latency.h"
#include "operators.h"
#include "touch.h"

namespace workload {

struct MallocApi {
  static void* allocate(std::size_t size) { return malloc(size); }
  static void release(void* block, std::size_t) { free(block); }
};

struct OperatorApi {
  static void* allocate(std::size_t size) { return array_new(size); }
  static void release(void* block, std::size_t) { array_delete(block); }
};

struct SizedOperatorApi {
  static void* allocate(std::size_t size) { return array_new(size); }
  static void release(void* block, std::size_t size) { array_delete_sized(block, size); }
};

template <class Api, class Probe>
class Calls {
 public:
  Calls(LatencyTable& table, std::uint64_t worker) : probe_(table, worker) {}

  void* allocate(std::size_t size) {
    return probe_.allocate([=] { return Api::allocate(size); });
  }
  // `size` is what the block was asked with; only sized deletion looks at it.
  void release(void* block, std::size_t size = 0) {
    probe_.release([=] { Api::release(block, size); });
  }
  void* allocate_zeroed(std::size_t count, std::size_t size) {
    return probe_.allocate([=] { return calloc(count, size); });
  }
  void* allocate_aligned(std::size_t alignment, std::size_t size) {
    return probe_.allocate([=] { return memalign(alignment, size); });
  }
  void* resize(void* block, std::size_t size) {
    return probe_.allocate([=] { return realloc(block, size); });
  }

 private:
  Probe probe_;
};

// Calls body.template operator()<kTouch, Probe>() for the modes the command line chose.
template <class Body>
auto with_modes(const CommonOptions& options, Body&& body) {
  const auto with_probe = [&]<Touch kTouch>() {
    return options.latency ? body.template operator()<kTouch, SampleProbe>()
                           : body.template operator()<kTouch, NoProbe>();
  };
  switch (options.touch) {
    case Touch::kNone:
      return with_probe.template operator()<Touch::kNone>();
    case Touch::kFirst:
      return with_probe.template operator()<Touch::kFirst>();
    case Touch::kEnds:
      return with_probe.template operator()<Touch::kEnds>();
    case Touch::kFull:
      break;
  }
  return with_probe.template operator()<Touch::kFull>();
}

}  // namespace workload
