// Rows for functions of libc that allocate for the caller: what they return can be freed, resized
// and measured with the functions of the malloc family; and for mallopt.
#include <dirent.h>
#include <unistd.h>
#include <wchar.h>

#include <cstdio>
#include <cstdlib>

#include "api/table.hpp"

namespace hz3test {
namespace {

void owned_row(const char* name, void* block, std::size_t size) {
  Table::begin("%s", name);
  Table::add("block=%d usable=%d", block != nullptr, heap::usable_size(block) >= size);
  void* grown = heap::realloc(block, size + 5000);
  Table::add(" grown=%d", grown != nullptr);
  free_row(grown);
  Table::end();
}

void stream_rows() {
  char* text = nullptr;
  std::size_t length = 0;
  FILE* stream = ::open_memstream(&text, &length);
  for (int line = 0; line < 2000; ++line) std::fprintf(stream, "line %d\n", line);
  std::fclose(stream);
  owned_row("open_memstream", text, length);

  char lines[] = "a first line\nand a second one that is somewhat longer than the first\n";
  stream = ::fmemopen(lines, sizeof lines - 1, "r");
  char* line = nullptr;
  std::size_t capacity = 0;
  while (::getline(&line, &capacity, stream) > 0) continue;
  std::fclose(stream);
  owned_row("getline", line, capacity);
}

void text_rows() {
  owned_row("strdup", ::strdup("some text"), 10);
  owned_row("strndup", ::strndup("some text", 4), 5);
  owned_row("wcsdup", ::wcsdup(L"wide text"), 10 * sizeof(wchar_t));
  char* text = nullptr;
  const int length = ::asprintf(&text, "%d and %s", 42, "forty-two");
  owned_row("asprintf", text, static_cast<std::size_t>(length) + 1);
  owned_row("realpath", ::realpath("/usr/../usr", nullptr), 5);
  owned_row("getcwd", ::getcwd(nullptr, 0), 1);
}

int accept_all(const dirent*) { return 1; }

void scandir_row() {
  dirent** entries = nullptr;
  const int count = ::scandir("/proc/self", &entries, accept_all, alphasort);
  Table::begin("scandir");
  Table::add("found=%d", count > 2);
  for (int index = 0; index < count; ++index) heap::free(entries[index]);
  free_row(entries);
  Table::end();
}

void mallopt_row(const char* name, int parameter, int value) {
  Table::begin("mallopt(%s, %d)", name, value);
  errno = kErrnoMark;
  const int accepted = ::mallopt(parameter, value);
  Table::add("%d errno=%s", accepted, errno_name(errno));
  Table::end();
}

void mallopt_rows() {
  mallopt_row("M_TRIM_THRESHOLD", M_TRIM_THRESHOLD, 262144);
  mallopt_row("M_TOP_PAD", M_TOP_PAD, 65536);
  mallopt_row("M_MMAP_THRESHOLD", M_MMAP_THRESHOLD, 262144);
  mallopt_row("M_MMAP_MAX", M_MMAP_MAX, 1024);
  mallopt_row("M_ARENA_MAX", M_ARENA_MAX, 2);
  mallopt_row("M_ARENA_TEST", M_ARENA_TEST, 2);
  mallopt_row("M_PERTURB", M_PERTURB, 0);
  mallopt_row("M_CHECK_ACTION", M_CHECK_ACTION, 3);
  mallopt_row("M_MXFAST", M_MXFAST, 64);
  mallopt_row("unknown", 12345, 1);
}

}  // namespace

void add_libc_rows() {
  text_rows();
  stream_rows();
  scandir_row();
  mallopt_rows();
}

}  // namespace hz3test
