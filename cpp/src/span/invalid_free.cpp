// Texts of the invalid frees. Each names a cause, what it means, and its code.
#include "span/invalid_free.h"

#include "arena/ledger.h"
#include "base/fatal.h"
#include "settings/counters.h"
#include "settings/knobs.h"
#include "span/span.h"

namespace hz3 {
namespace {

struct Text {
  const char* what;
  const char* code;
};

Text text_of(InvalidFree kind) {
  switch (kind) {
    case InvalidFree::kForeign:
      break;
    case InvalidFree::kUnallocated:
      return {"invalid free", "E2"};
    case InvalidFree::kMisaligned:
      return {"misaligned free", "E3"};
    case InvalidFree::kInterior:
      return {"interior free", "E4"};
    case InvalidFree::kDouble:
      return {"double free", "E5"};
    case InvalidFree::kWrongSize:
      return {"wrong size", "E6"};
    case InvalidFree::kWrongAlignment:
      return {"wrong alignment", "E7"};
    case InvalidFree::kOverflow:
      return {"overflow", "E8"};
  }
  return {"foreign free", "E1"};
}

void explain(Line* line, InvalidFree kind, const BlockFacts& facts) {
  switch (kind) {
    case InvalidFree::kForeign:
      line->text(
          "not from hz3: stack, static or mapped memory, or another malloc (RTLD_DEEPBIND, "
          "static)");
      return;
    case InvalidFree::kUnallocated:
      line->text("no block starts here: freed before, or never allocated");
      return;
    case InvalidFree::kMisaligned:
    case InvalidFree::kInterior:
      line->number(facts.offset_bytes).text(" bytes into a block of ");
      line->number(facts.block_bytes).text(" bytes");
      return;
    case InvalidFree::kDouble:
      line->text("the block");
      if (facts.block_bytes != 0) line->text(" of ").number(facts.block_bytes).text(" bytes");
      line->text(" is free already");
      return;
    case InvalidFree::kWrongSize:
      line->text("a block of ").number(facts.block_bytes).text(" bytes freed as one of ");
      line->number(facts.said);
      return;
    case InvalidFree::kWrongAlignment:
      line->text("a block of ").number(facts.block_bytes).text(" bytes freed as one aligned to ");
      line->number(facts.said);
      return;
    case InvalidFree::kOverflow:
      line->text("bytes behind the end of a block of ").number(facts.block_bytes);
      line->text(" bytes were written");
      return;
  }
}

}  // namespace

void report_invalid_free(InvalidFree kind, const void* pointer, BlockFacts facts) {
  count_shared(Counter::kInvalidFrees);
  const Text text = text_of(kind);
  Line line;
  line.text("hz3: ").text(text.what).text(": pointer ");
  line.hex(reinterpret_cast<unsigned long long>(pointer)).text(" (");
  explain(&line, kind, facts);
  line.text(") [").text(text.code).text("]");
  line.write_to_stderr();
  if (knob(Knob::kOnInvalidFree) == static_cast<std::int64_t>(OnInvalidFree::kAbort)) stop();
}

void report_inside(const void* pointer, const void* start, std::size_t block_bytes) {
  const std::uintptr_t offset =
      reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(start);
  const bool aligned = offset % kBlockAlignment == 0;
  report_invalid_free(aligned ? InvalidFree::kInterior : InvalidFree::kMisaligned, pointer,
                      {block_bytes, offset, 0});
}

void report_no_block(const Span& span, const void* pointer) {
  const SizeClass& shape = span.size_class();
  const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(pointer) - span.start;
  const std::uintptr_t index = offset / shape.block_bytes;
  if (index >= shape.blocks) {  // what the last block leaves over
    report_invalid_free(InvalidFree::kUnallocated, pointer);
    return;
  }
  const void* start = reinterpret_cast<const void*>(span.start + index * shape.block_bytes);
  // The checked build knows how much of the block the program has.
  const std::size_t slack = kChecked ? ledger.at(start).load(std::memory_order_relaxed) : 0;
  report_inside(pointer, start, shape.block_bytes - slack);
}

}  // namespace hz3
