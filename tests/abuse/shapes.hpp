// The ways in which a pointer, or what is said about it, can be wrong.
#ifndef HZ3_TESTS_ABUSE_SHAPES_HPP
#define HZ3_TESTS_ABUSE_SHAPES_HPP

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "abuse/calls.hpp"

namespace hz3test::abuse {

struct Shape {
  const char* name;
  // Makes the pointer; a block that must stay allocated is simply kept.
  char* (*make)(Case* about);
  // How often the pointer is passed to the call.
  int times;
};

inline char static_bytes[4096] = {1};

inline char* fresh(const Case* about) {
  auto* block = static_cast<char*>(about->origin->make(about->size));
  CHECK(block != nullptr);
  block[0] = 1;
  return block;
}

inline char* at_address(std::uintptr_t address) { return reinterpret_cast<char*>(address); }

inline char* mapped(const Case* about) {
  void* memory = ::mmap(nullptr, about->size + 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

inline char* unmapped(const Case* about) {
  char* memory = mapped(about);
  CHECK_EQ(::munmap(memory, about->size + 4096), 0);
  return memory;
}

inline char* on_the_stack(Case*) {
  // The frame is gone when the pointer is used; only its address matters.
  char local[64];
  return opaque(&local[opaque(16)]);
}

inline char* overrun(const Case* about, std::size_t bytes) {
  char* block = fresh(about);
  for (std::size_t i = 0; i < bytes; ++i) *opaque(block + about->size + i) = 0;
  return block;
}

inline char* saying(Case* about, std::size_t bytes) {
  about->said_bytes = bytes;
  return fresh(about);
}

// Claims the next alignment above the one that the block has.
inline char* saying_too_aligned(Case* about) {
  char* block = fresh(about);
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  about->alignment = (address & (~address + 1)) * 2;
  return block;
}

inline constexpr Shape kShapes[] = {
    {"double", [](Case* about) { return fresh(about); }, 2},
    {"triple", [](Case* about) { return fresh(about); }, 3},
    {"stack", on_the_stack, 1},
    {"static", [](Case*) { return opaque(&static_bytes[1024]); }, 1},
    {"code", [](Case*) { return at_address(reinterpret_cast<std::uintptr_t>(&on_the_stack)); }, 1},
    {"mapped", [](Case* about) { return mapped(about); }, 1},
    {"mapped_inside", [](Case* about) { return mapped(about) + 64; }, 1},
    {"unmapped", [](Case* about) { return unmapped(about); }, 1},
    {"break", [](Case*) { return static_cast<char*>(::sbrk(4096)) + 16; }, 1},
    {"small_number", [](Case*) { return at_address(0x10); }, 1},
    {"non_canonical", [](Case*) { return at_address(std::uintptr_t{1} << 62); }, 1},
    {"kernel", [](Case*) { return at_address(0xffffffff81000000); }, 1},
    {"top", [](Case*) { return at_address(UINTPTR_MAX - 15); }, 1},
    {"high_bits",
     [](Case* about) {
       return at_address(reinterpret_cast<std::uintptr_t>(fresh(about)) |
                         (std::uintptr_t{0xABCD} << 48));
     },
     1},
    // Address space of the allocator in which no block was ever placed.
    {"far_inside_arena", [](Case* about) { return fresh(about) + (std::size_t{1} << 33); }, 1},
    {"middle", [](Case* about) { return fresh(about) + about->size / 32 * 16; }, 1},
    {"second_granule", [](Case* about) { return fresh(about) + 16; }, 1},
    {"last_byte", [](Case* about) { return fresh(about) + about->size - 1; }, 1},
    {"plus_one", [](Case* about) { return fresh(about) + 1; }, 1},
    {"plus_eight", [](Case* about) { return fresh(about) + 8; }, 1},
    {"page_inside", [](Case* about) { return fresh(about) + 4096; }, 1},
    {"one_too_long", [](Case* about) { return overrun(about, 1); }, 1},
    {"eight_too_long", [](Case* about) { return overrun(about, 8); }, 1},
    {"last_of_the_guard",
     [](Case* about) {
       char* block = fresh(about);
       *opaque(block + about->size + 7) = 'x';
       return block;
     },
     1},
    {"size_plus_one", [](Case* about) { return saying(about, about->size + 1); }, 1},
    {"size_minus_one", [](Case* about) { return saying(about, about->size - 1); }, 1},
    {"half_the_size", [](Case* about) { return saying(about, about->size / 2); }, 1},
    {"size_zero", [](Case* about) { return saying(about, 0); }, 1},
    {"size_huge", [](Case* about) { return saying(about, SIZE_MAX / 2); }, 1},
    {"too_aligned", saying_too_aligned, 1},
    {"valid", [](Case* about) { return fresh(about); }, 1},
};

}  // namespace hz3test::abuse

#endif  // HZ3_TESTS_ABUSE_SHAPES_HPP
