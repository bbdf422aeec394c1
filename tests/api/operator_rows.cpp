// Rows for operator new and delete in every form, and for the new-handler.
#include <new>

#include "api/table.hpp"

namespace hz3test {
namespace {

constexpr std::align_val_t kOverAligned[] = {std::align_val_t{16},   std::align_val_t{32},
                                             std::align_val_t{64},   std::align_val_t{256},
                                             std::align_val_t{4096}, std::align_val_t{65536}};

// Calls `allocate`, which may throw, and describes block or exception.
template <typename Allocate>
void* describe_new(const char* form, std::size_t size, std::size_t alignment, Allocate allocate) {
  Table::begin("%s(%#zx) at %zu", form, size, alignment);
  void* block = nullptr;
  errno = kErrnoMark;
  try {
    block = opaque(allocate());
    // errno of a refused nothrow new is nobody's contract: only NULL counts.
    describe_block(block, size, alignment, block == nullptr ? kErrnoMark : errno);
  } catch (const std::bad_alloc&) {
    Table::add("bad_alloc");
  }
  return block;
}

template <typename Release>
void describe_delete(void* block, Release release) {
  errno = kErrnoMark;
  release(block);
  Table::add(" delete=%s", errno_name(errno));
  Table::end();
}

void plain_rows(std::size_t size) {
  const std::size_t alignment = natural_alignment(size);
  void* block = describe_new("new", size, alignment, [&] { return ::operator new(opaque(size)); });
  describe_delete(block, [](void* old) { ::operator delete(old); });
  block = describe_new("new[]", size, alignment, [&] { return ::operator new[](opaque(size)); });
  describe_delete(block, [](void* old) { ::operator delete[](old); });
  block = describe_new("new sized", size, alignment, [&] { return ::operator new(opaque(size)); });
  describe_delete(block, [&](void* old) { ::operator delete(old, size); });
  block =
      describe_new("new[] sized", size, alignment, [&] { return ::operator new[](opaque(size)); });
  describe_delete(block, [&](void* old) { ::operator delete[](old, size); });
  block = describe_new("new nothrow", size, alignment,
                       [&] { return ::operator new(opaque(size), std::nothrow); });
  describe_delete(block, [](void* old) { ::operator delete(old, std::nothrow); });
  block = describe_new("new[] nothrow", size, alignment,
                       [&] { return ::operator new[](opaque(size), std::nothrow); });
  describe_delete(block, [](void* old) { ::operator delete[](old, std::nothrow); });
}

void aligned_rows(std::size_t size, std::align_val_t align) {
  const auto alignment = static_cast<std::size_t>(align);
  void* block = describe_new("new aligned", size, alignment,
                             [&] { return ::operator new(opaque(size), align); });
  describe_delete(block, [&](void* old) { ::operator delete(old, align); });
  block = describe_new("new[] aligned", size, alignment,
                       [&] { return ::operator new[](opaque(size), align); });
  describe_delete(block, [&](void* old) { ::operator delete[](old, align); });
  block = describe_new("new aligned sized", size, alignment,
                       [&] { return ::operator new(opaque(size), align); });
  describe_delete(block, [&](void* old) { ::operator delete(old, size, align); });
  block = describe_new("new[] aligned sized", size, alignment,
                       [&] { return ::operator new[](opaque(size), align); });
  describe_delete(block, [&](void* old) { ::operator delete[](old, size, align); });
  block = describe_new("new aligned nothrow", size, alignment,
                       [&] { return ::operator new(opaque(size), align, std::nothrow); });
  describe_delete(block, [&](void* old) { ::operator delete(old, align, std::nothrow); });
  block = describe_new("new[] aligned nothrow", size, alignment,
                       [&] { return ::operator new[](opaque(size), align, std::nothrow); });
  describe_delete(block, [&](void* old) { ::operator delete[](old, align, std::nothrow); });
}

int handler_calls = 0;

// A handler that gives up at its third call, as a program that frees reserves would.
void three_times() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct Stop : std::bad_alloc {};

[[noreturn]] void throwing() {
  ++handler_calls;
  throw Stop{};
}

// The handler runs before every refusal, for the nothrow forms too.
template <typename Allocate>
void handler_row(const char* form, std::new_handler handler, Allocate allocate) {
  Table::begin("new_handler with %s", form);
  handler_calls = 0;
  std::set_new_handler(handler);
  try {
    void* block = opaque(allocate(opaque(SIZE_MAX / 2 + 1)));
    Table::add("%s", block == nullptr ? "NULL" : "block");
  } catch (const Stop&) {
    Table::add("exception of the handler");
  } catch (const std::bad_alloc&) {
    Table::add("bad_alloc");
  }
  std::set_new_handler(nullptr);
  Table::add(" calls=%d", handler_calls);
  Table::end();
}

void handler_rows(const char* kind, std::new_handler handler) {
  constexpr auto kAlign = std::align_val_t{64};
  Table::begin("handlers that behave as: %s", kind);
  Table::end();
  handler_row("new", handler, [](std::size_t size) { return ::operator new(size); });
  handler_row("new[]", handler, [](std::size_t size) { return ::operator new[](size); });
  handler_row("new nothrow", handler,
              [](std::size_t size) { return ::operator new(size, std::nothrow); });
  handler_row("new[] nothrow", handler,
              [](std::size_t size) { return ::operator new[](size, std::nothrow); });
  handler_row("new aligned", handler,
              [](std::size_t size) { return ::operator new(size, kAlign); });
  handler_row("new[] aligned", handler,
              [](std::size_t size) { return ::operator new[](size, kAlign); });
  handler_row("new aligned nothrow", handler,
              [](std::size_t size) { return ::operator new(size, kAlign, std::nothrow); });
  handler_row("new[] aligned nothrow", handler,
              [](std::size_t size) { return ::operator new[](size, kAlign, std::nothrow); });
}

}  // namespace

void add_operator_rows() {
  for_each_size(200, plain_rows);
  for (const std::align_val_t align : kOverAligned) {
    for (std::size_t size = 0; size <= 130; size += 13) aligned_rows(size, align);
    for (std::size_t size = 500; size <= 600000; size *= 3) aligned_rows(size, align);
    for_each_absurd_size([align](std::size_t size) { aligned_rows(size, align); });
  }
  ::operator delete(opaque(static_cast<void*>(nullptr)));
  ::operator delete[](opaque(static_cast<void*>(nullptr)));
  handler_rows("gives up", three_times);
  handler_rows("throws", throwing);
}

}  // namespace hz3test
