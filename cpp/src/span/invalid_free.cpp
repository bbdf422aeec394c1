// Texts of the invalid frees. Each names a cause and what it usually means.
#include "span/invalid_free.h"

#include "base/fatal.h"
#include "settings/counters.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

struct Text {
  const char* what;
  const char* why;
};

Text text_of(InvalidFree kind) {
  switch (kind) {
    case InvalidFree::kDouble:
      return {"double free", "the block is free already"};
    case InvalidFree::kInterior:
      return {"invalid free", "inside a block or misaligned, not the start of a block"};
    case InvalidFree::kUnallocated:
      return {"invalid free", "no block starts here: freed before, or never allocated"};
    case InvalidFree::kForeign:
      break;
  }
  return {
      "foreign free",
      "not from hz3: stack, static or mapped memory, or another malloc (RTLD_DEEPBIND, static)"};
}

}  // namespace

void report_invalid_free(InvalidFree kind, const void* pointer) {
  count_shared(Counter::kInvalidFrees);
  const Text text = text_of(kind);
  if (knob(Knob::kOnInvalidFree) == static_cast<std::int64_t>(OnInvalidFree::kAbort)) {
    fatal_pointer(text.what, pointer, text.why);
  }
  Line line;
  line.text("hz3: ").text(text.what).text(": pointer ");
  line.hex(reinterpret_cast<unsigned long long>(pointer)).text(" (").text(text.why).text(")");
  line.write_to_stderr();
}

}  // namespace hz3
