// A bump allocator over mappings of its own.
#include "arena/metadata.h"

#include <cstdint>
#include <new>

#include "base/bits.h"
#include "base/futex_lock.h"
#include "geometry/constants.h"
#include "os/memory.h"

namespace hz3 {
namespace {

constexpr std::size_t kPieceBytes = 1024 * 1024;

// At the start of each mapping.
struct alignas(kCacheLineBytes) Piece {
  Piece* next;
  std::size_t bytes;
};

constinit FutexLock lock;
constinit Piece* pieces = nullptr;
constinit char* cursor = nullptr;
constinit char* limit = nullptr;
constinit std::size_t used_bytes = 0;

}  // namespace

void* metadata_allocate(std::size_t bytes) {
  bytes = align_up(bytes, kCacheLineBytes);
  const LockGuard guard(lock);
  if (bytes > static_cast<std::size_t>(limit - cursor)) {
    const std::size_t piece = max_of(align_up(bytes + sizeof(Piece), kChunkBytes), kPieceBytes);
    void* fresh = os::map(piece, os::Mapping::kSparse);
    if (fresh == nullptr) return nullptr;
    pieces = new (fresh) Piece{pieces, piece};
    cursor = static_cast<char*>(fresh) + sizeof(Piece);
    limit = static_cast<char*>(fresh) + piece;
    used_bytes += sizeof(Piece);
  }
  void* result = cursor;
  cursor += bytes;
  used_bytes += bytes;
  return result;
}

std::size_t metadata_bytes() {
  const LockGuard guard(lock);
  return metadata_bytes_locked();
}

std::size_t metadata_bytes_locked() { return used_bytes; }

void visit_metadata(VisitMapping visit, void* context) {
  for (const Piece* piece = pieces; piece != nullptr; piece = piece->next) {
    visit(context, piece, piece->bytes);
  }
}

FutexLock& metadata_lock() { return lock; }

}  // namespace hz3
