// Says whether it runs in secure execution, and what hz3 makes of its environment there. Linked
// with libhz3.so, because nothing can be preloaded into such a program from an ordinary folder.
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "hz3/hz3.h"

int main() {
  void* block = malloc(100);
  int64_t bytes = 0;
  const int error = hz3_knob_get("transfer_bytes", &bytes);
  printf("%lu %d %lld %d\n", getauxval(AT_SECURE), error, static_cast<long long>(bytes),
         hz3_owns(block));
  free(block);
  return 0;
}
