// cache_thrash: active false sharing. Do threads that allocate at the same time get blocks on one
// cache line?
#include "cache_sharing.h"

int main(int argc, char** argv) {
  return workload::run_cache_sharing(
      "cache_thrash", "Threads write into small objects of their own.", false, argc, argv);
}
