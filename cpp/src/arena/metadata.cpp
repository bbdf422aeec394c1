// A bump allocator over mappings of its own.
#include "arena/metadata.h"

#include <cstdint>

#include "base/bits.h"
#include "base/futex_lock.h"
#include "geometry/constants.h"
#include "os/memory.h"

namespace hz3 {
namespace {

constexpr std::size_t kPieceBytes = 1024 * 1024;

constinit FutexLock lock;
constinit char* cursor = nullptr;
constinit char* limit = nullptr;
constinit std::size_t used_bytes = 0;

}  // namespace

void* metadata_allocate(std::size_t bytes) {
  bytes = align_up(bytes, kCacheLineBytes);
  const LockGuard guard(lock);
  if (bytes > static_cast<std::size_t>(limit - cursor)) {
    const std::size_t piece = max_of(align_up(bytes, kChunkBytes), kPieceBytes);
    auto* fresh = static_cast<char*>(os::map(piece, os::Mapping::kSparse));
    if (fresh == nullptr) return nullptr;
    cursor = fresh;
    limit = fresh + piece;
  }
  void* result = cursor;
  cursor += bytes;
  used_bytes += bytes;
  return result;
}

std::size_t metadata_bytes() {
  const LockGuard guard(lock);
  return used_bytes;
}

FutexLock& metadata_lock() { return lock; }

}  // namespace hz3
