// cache_scratch: passive false sharing. Does a block that another thread made and this one freed
// come back to this one, next to blocks of other threads?
#include "cache_sharing.h"

int main(int argc, char** argv) {
  return workload::run_cache_sharing(
      "cache_scratch",
      "Threads free an object of the main thread, then write into small objects of their own.",
      true, argc, argv);
}
