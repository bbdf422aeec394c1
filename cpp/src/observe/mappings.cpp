// Reads /proc/self/smaps: for each mapping a line with its bounds, then lines of figures, among
// them its resident memory. The kernel joins neighbouring mappings, ours with others' too; of a
// joined one we look up our own pages.
#include "observe/mappings.h"

#include "arena/arena.h"
#include "arena/ledger.h"
#include "arena/page_heap.h"
#include "base/bits.h"
#include "large/large_heap.h"
#include "observe/residency.h"
#include "os/files.h"
#include "os/memory.h"
#include "remote/magazine.h"

// Where the linker puts the library's own variables.
extern "C" {
extern char __bss_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));
}

namespace hz3 {
namespace {

// The variables, without the page that they share with initialised data.
void visit_variables(VisitMapping visit, void* context) {
  const std::size_t page = os::system_page_bytes();
  const std::uintptr_t start = align_up(reinterpret_cast<std::uintptr_t>(__bss_start), page);
  const std::uintptr_t end = align_up(reinterpret_cast<std::uintptr_t>(_end), page);
  if (start < end) visit(context, reinterpret_cast<const void*>(start), end - start);
}

// Everything that was reserved, touched or not.
void visit_all(VisitMapping visit, void* context) {
  std::size_t bytes = 0;
  visit(context, reinterpret_cast<const void*>(arena.base), arena.bytes);
  visit(context, arena.tags(), arena.table_bytes);
  const void* region = large_heap.region(&bytes);
  visit(context, region, bytes);
  const void* table = large_heap.table();
  visit(context, table, large_heap.table_bytes());
  const std::size_t segments = page_heap.figures_locked().open_segments;
  const void* entries = ledger.memory(segments, &bytes);
  visit(context, entries, bytes);
  const void* magazines = magazine_memory(&bytes);
  visit(context, magazines, align_up(bytes, os::system_page_bytes()));
  visit_metadata(visit, context);
  large_heap.visit_mappings(visit, context);
  visit_variables(visit, context);
}

struct Overlap {
  std::uintptr_t start;
  std::uintptr_t end;
  std::size_t owned_bytes = 0;
  bool look_up = false;
  std::size_t resident = 0;
};

void add_overlap(void* context, const void* address, std::size_t bytes) {
  auto& overlap = *static_cast<Overlap*>(context);
  const auto from = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t start = max_of(overlap.start, from);
  const std::uintptr_t end = min_of(overlap.end, from + bytes);
  if (bytes == 0 || start >= end) return;
  overlap.owned_bytes += end - start;
  if (overlap.look_up) {
    overlap.resident += resident_bytes(reinterpret_cast<const void*>(start), end - start);
  }
}

std::uint64_t owned_part(std::uintptr_t start, std::uintptr_t end, std::uint64_t resident) {
  Overlap overlap = {start, end};
  visit_all(add_overlap, &overlap);
  if (overlap.owned_bytes == 0) return 0;
  if (overlap.owned_bytes >= end - start) return resident;
  overlap.look_up = true;
  visit_all(add_overlap, &overlap);
  return min_of<std::uint64_t>(overlap.resident, resident);
}

void add_resident(void* context, const void* address, std::size_t bytes) {
  *static_cast<std::size_t*>(context) += resident_bytes(address, bytes);
}

bool is_digit(char c, unsigned base, unsigned* value) {
  if (c >= '0' && c <= '9') {
    *value = static_cast<unsigned>(c - '0');
  } else if (c >= 'a' && c <= 'f') {
    *value = static_cast<unsigned>(c - 'a') + 10;
  } else {
    return false;
  }
  return *value < base;
}

// Moves `*text` behind the number.
std::uint64_t take_number(const char** text, unsigned base) {
  std::uint64_t number = 0;
  unsigned digit = 0;
  while (is_digit(**text, base, &digit)) {
    number = number * base + digit;
    ++*text;
  }
  return number;
}

// Knows of the mapping whose lines are being read.
class SmapsReader {
 public:
  void take_line(const char* line) {
    unsigned digit = 0;
    if (is_digit(line[0], 16, &digit)) {
      start_ = take_number(&line, 16);
      if (*line++ == '-') end_ = take_number(&line, 16);
    } else if (line[0] == 'R' && line[1] == 's' && line[2] == 's' && line[3] == ':') {
      line += 4;
      while (*line == ' ') ++line;
      const std::uint64_t bytes = take_number(&line, 10) * 1024;
      figures.process_bytes += bytes;
      if (bytes != 0) figures.heap_bytes += owned_part(start_, end_, bytes);
    }
  }

  KernelFigures figures = {0, 0};

 private:
  std::uintptr_t start_ = 0;
  std::uintptr_t end_ = 0;
};

}  // namespace

std::size_t resident_metadata_bytes() {
  std::size_t total = 0;
  const std::size_t pages = page_heap.figures_locked().open_segments * kPagesPerSegment;
  add_resident(&total, arena.tags(), pages * sizeof(Tag));
  add_resident(&total, arena.spans, pages * sizeof(Span*));
  add_resident(&total, arena.segments, pages / kPagesPerSegment * sizeof(Segment));
  large_heap.visit_tables(add_resident, &total);
  std::size_t bytes = 0;
  const void* entries = ledger.memory(pages / kPagesPerSegment, &bytes);
  add_resident(&total, entries, bytes);
  const void* magazines = magazine_memory(&bytes);
  add_resident(&total, magazines, bytes);
  visit_metadata(add_resident, &total);
  visit_variables(add_resident, &total);
  return total;
}

KernelFigures read_kernel_figures(char* buffer, std::size_t buffer_bytes) {
  const int file = os::open_to_read("/proc/self/smaps");
  if (file == os::kNoFile) return {0, 0};
  SmapsReader reader;
  // Lines that do not fit are cut: what counts stands at their beginning.
  char line[128];
  std::size_t length = 0;
  for (;;) {
    const std::size_t got = os::read_file(file, buffer, buffer_bytes);
    if (got == 0) break;
    for (std::size_t i = 0; i < got; ++i) {
      if (buffer[i] == '\n') {
        line[length] = '\0';
        reader.take_line(line);
        length = 0;
      } else if (length < sizeof line - 1) {
        line[length++] = buffer[i];
      }
    }
  }
  os::close_file(file);
  return reader.figures;
}

}  // namespace hz3
