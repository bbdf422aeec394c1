// Bookkeeping memory from mmap. See mapped.h.
#include "mapped.h"

#include <sys/mman.h>

#include "fatal.h"

namespace workload {

void* map_bytes(std::size_t bytes) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    fatal("cannot map %zu bytes of bookkeeping memory; try smaller arguments", bytes);
  }
  return start;
}

void unmap_bytes(void* start, std::size_t bytes) { munmap(start, bytes); }

}  // namespace workload
