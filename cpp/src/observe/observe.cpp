// From locks and lookups to one account, for a caller's memory or for a file.
#include "observe/observe.h"

#include "arena/page_heap.h"
#include "base/bits.h"
#include "cache/thread_cache.h"
#include "observe/all_locks.h"
#include "observe/census.h"
#include "observe/document.h"
#include "observe/gauges.h"
#include "observe/mappings.h"
#include "observe/residency.h"
#include "os/memory.h"

namespace hz3 {
namespace {

// Everything that an observation needs, in one mapping that is gone afterwards.
class Workspace {
 public:
  static constexpr std::size_t kTextBytes = 4096;

  Workspace() = default;
  ~Workspace() {
    if (memory_ != nullptr) os::unmap(memory_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Room for a map of `heap_bytes`. False: no memory.
  bool open(std::size_t heap_bytes) {
    const std::size_t map_bytes = ResidencyMap::words_for(heap_bytes) * sizeof(std::uint64_t);
    bytes_ = align_up(sizeof(Contents) + map_bytes, os::system_page_bytes());
    memory_ = static_cast<Contents*>(os::map(bytes_, os::Mapping::kSparse));
    return memory_ != nullptr;
  }
  Observation& result() { return memory_->result; }
  char* text() { return memory_->text; }
  std::uint64_t* map_words() { return reinterpret_cast<std::uint64_t*>(memory_ + 1); }

 private:
  struct alignas(kCacheLineBytes) Contents {
    Observation result;
    char text[kTextBytes];
  };

  Contents* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

void add_up(hz3_observation* whole, const KernelFigures& kernel) {
  whole->heap_resident_bytes =
      whole->live_bytes + whole->thread_cache_bytes + whole->stash_bytes + whole->spill_bytes +
      whole->transfer_bytes + whole->remote_stash_bytes + whole->page_queue_bytes +
      whole->central_bytes + whole->tail_waste_bytes + whole->free_pages_bytes +
      whole->large_live_bytes + whole->large_cache_bytes + whole->metadata_bytes;
  whole->non_heap_bytes = kernel.process_bytes - kernel.heap_bytes;
  whole->resident_bytes = whole->heap_resident_bytes + whole->non_heap_bytes;
  whole->kernel_heap_resident_bytes = kernel.heap_bytes;
  whole->kernel_resident_bytes = kernel.process_bytes;
}

bool fill(Workspace* workspace) {
  const AllLocks locks(AllLocks::Patience::kSecond);
  const std::size_t heap_bytes = page_heap.figures_locked().open_segments * kSegmentBytes;
  if (!workspace->open(heap_bytes)) return false;
  Observation& result = workspace->result();
  hz3_observation& whole = result.whole;
  // First of all: the walk reads tables that nobody has touched, and the kernel shows the zeros
  // that it lends for that as pages in memory.
  whole.metadata_bytes = resident_metadata_bytes();
  const KernelFigures kernel = read_kernel_figures(workspace->text(), Workspace::kTextBytes);
  ResidencyMap map;
  map.look_up(arena.base, heap_bytes, workspace->map_words());
  take_census(map, &result);
  add_up(&whole, kernel);
  whole.threads = thread_cache_figures_locked().threads;
  whole.locks_missed = locks.missed();
  read_counters_locked(result.counters, kCounterCount);
  return true;
}

}  // namespace

int observe(hz3_observation* whole, hz3_class_observation* classes, std::size_t class_count) {
  Workspace workspace;
  if (!fill(&workspace)) return HZ3_NO_MEMORY;
  *whole = workspace.result().whole;
  if (classes == nullptr || class_count == 0) return HZ3_OK;
  // The caller may know a shorter or a longer structure.
  const std::size_t stride = classes->struct_bytes;
  const std::size_t copied = min_of(stride, sizeof(hz3_class_observation));
  for (std::size_t i = 0; i < min_of<std::size_t>(class_count, kClassCount); ++i) {
    hz3_class_observation& from = workspace.result().classes[i];
    from.struct_bytes = stride;
    __builtin_memcpy(reinterpret_cast<char*>(classes) + i * stride, &from, copied);
  }
  return HZ3_OK;
}

int observe_to(int file) {
  Workspace workspace;
  if (!fill(&workspace)) return HZ3_NO_MEMORY;
  JsonWriter writer(file, workspace.text(), Workspace::kTextBytes);
  write_document(workspace.result(), &writer);
  return writer.finish() ? HZ3_OK : HZ3_NOT_WRITTEN;
}

}  // namespace hz3
