// Runs the operations of one thread against the allocator and checks every promise.
#include "model/model.hpp"
#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace hz3test {

Runner::Runner(std::uint64_t seed, unsigned thread, std::uint32_t slots)
    : seed_(seed), thread_(thread), slot_count_(slots), slots_(map_zeroed<Block>(slots)) {}

void Runner::broken(const char* what, const Block& block, std::size_t detail) const {
  fail("model", thread_ > 0 ? static_cast<int>(thread_) : 0,
       "%s; block %p of %zu bytes (detail %zu); operation %llu: %s slot %u size %zu alignment %zu; "
       "seed %llu thread %u",
       what, block.address, block.size, detail, static_cast<unsigned long long>(step_),
       kKindNames[static_cast<std::size_t>(current_.kind)], current_.slot, current_.size,
       current_.alignment, static_cast<unsigned long long>(seed_), thread_);
}

// Takes a fresh block of operation.size bytes into the model: checks place and alignment, fills it.
void Runner::accept(Block& block, void* address, const Operation& operation,
                    std::size_t alignment) {
  block = Block{address, operation.size, operation.size, mix(seed_ + step_ * 64 + thread_), 0};
  if (address == nullptr) broken("a request was refused", block, 0);
  if (reinterpret_cast<std::uintptr_t>(address) % alignment != 0) {
    broken("misaligned", block, alignment);
  }
  const std::size_t usable = heap::usable_size(address);
  if (usable < operation.size) broken("usable size below the request", block, usable);
  block.marked = usable;
  if (!Shadow::take(address, block.marked)) broken("overlaps a live block", block, usable);
  fill_pattern(address, block.filled, block.seed);
  bytes_allocated_ += operation.size;
}

void Runner::check(const Block& block) const {
  const std::size_t place = find_difference(block.address, block.filled, block.filled, block.seed);
  if (place != kNoDifference) broken("content changed", block, place);
}

void Runner::release(Block& block) {
  if (block.address == nullptr) return;
  check(block);
  if (!Shadow::release(block.address, block.marked)) broken("freed twice by the model", block, 0);
  heap::free(block.address);
  block = Block{};
}

void Runner::resize(Block& block, const Operation& operation) {
  if (block.address == nullptr) {
    accept(block, heap::realloc(nullptr, operation.size), operation,
           natural_alignment(operation.size));
    return;
  }
  check(block);
  // realloc to 0 frees and returns NULL; the model asks for a block instead.
  Operation request = operation;
  if (request.size == 0) request.size = 1;
  // Unmarked before the call: another thread may be given the old place at once.
  if (!Shadow::release(block.address, block.marked)) broken("resized a dead block", block, 0);
  void* moved = heap::realloc(block.address, request.size);
  if (moved == nullptr) broken("realloc was refused", block, request.size);
  const std::size_t common = block.filled < request.size ? block.filled : request.size;
  const std::size_t place = find_difference(moved, block.filled, common, block.seed);
  if (place != kNoDifference) broken("realloc lost content", block, place);
  accept(block, moved, request, natural_alignment(request.size));
}

void Runner::rewrite_usable(Block& block) {
  if (block.address == nullptr) return;
  check(block);
  const std::size_t usable = heap::usable_size(block.address);
  if (usable != block.marked) broken("usable size changed", block, usable);
  block.filled = usable;
  fill_pattern(block.address, block.filled, block.seed);
}

void Runner::hand_over(Block& block, std::uint32_t slot) {
  const Block taken = Exchange::swap(slot, block);
  block = taken;
  if (block.address != nullptr) check(block);
}

void Runner::run(const Operation& operation) {
  current_ = operation;
  ++step_;
  Block& block = slots_[operation.slot % slot_count_];
  switch (operation.kind) {
    case Kind::kMalloc:
      release(block);
      accept(block, heap::malloc(operation.size), operation, natural_alignment(operation.size));
      break;
    case Kind::kCalloc: {
      release(block);
      void* fresh = heap::calloc(1, operation.size);
      if (fresh != nullptr && !is_zeroed(fresh, operation.size)) {
        broken("calloc gave dirty memory", Block{fresh, operation.size, 0, 0, 0}, 0);
      }
      accept(block, fresh, operation, natural_alignment(operation.size));
      break;
    }
    case Kind::kRealloc:
      resize(block, operation);
      break;
    case Kind::kAligned:
      release(block);
      accept(block, heap::aligned_alloc(operation.alignment, operation.size), operation,
             operation.alignment);
      break;
    case Kind::kPosixAligned: {
      release(block);
      void* fresh = nullptr;
      const int code = heap::posix_memalign(&fresh, operation.alignment, operation.size);
      if (code != 0) broken("posix_memalign was refused", block, static_cast<std::size_t>(code));
      accept(block, fresh, operation, operation.alignment);
      break;
    }
    case Kind::kFree:
      release(block);
      break;
    case Kind::kCheck:
      if (block.address != nullptr) check(block);
      break;
    case Kind::kRewriteUsable:
      rewrite_usable(block);
      break;
    case Kind::kHandOver:
      hand_over(block, operation.slot);
      break;
    case Kind::kTrim:
      heap::trim();
      if (!heap::is_sound()) broken("contradictions in the heap", block, 0);
      break;
  }
}

void Runner::finish() {
  current_ = Operation{Kind::kFree, 0, 0, 0};
  for (std::uint32_t slot = 0; slot < slot_count_; ++slot) release(slots_[slot]);
}

}  // namespace hz3test
