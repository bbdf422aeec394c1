// A bump allocator over mappings of its own.
#include "arena/metadata.h"

#include <cstdint>
#include <new>

#include "arena/guarded.h"
#include "base/bits.h"
#include "base/futex_lock.h"
#include "geometry/constants.h"

namespace hz3 {
namespace {

constexpr std::size_t kPieceBytes = 1024 * 1024;
// In the checked build what is as large as a thread cache has guards of its own.
constexpr std::size_t kGuardedBytes = 16 * 1024;

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

// Needs the lock; nullptr: no memory.
Piece* new_piece(std::size_t bytes) {
  char* start = nullptr;
  if (!map_tables(&bytes, &start, 1)) return nullptr;
  pieces = new (start) Piece{pieces, bytes};
  used_bytes += sizeof(Piece);
  return pieces;
}

// A piece for one structure, which ends where its guard begins.
void* allocate_guarded(std::size_t bytes) {
  Piece* piece = new_piece(align_up(bytes + sizeof(Piece), kChunkBytes));
  if (piece == nullptr) return nullptr;
  used_bytes += bytes;
  return reinterpret_cast<char*>(piece) + piece->bytes - bytes;
}

}  // namespace

void* metadata_allocate(std::size_t bytes) {
  bytes = align_up(bytes, kCacheLineBytes);
  const LockGuard guard(lock);
  if (kChecked && bytes >= kGuardedBytes) return allocate_guarded(bytes);
  if (bytes > static_cast<std::size_t>(limit - cursor)) {
    Piece* piece = new_piece(max_of(align_up(bytes + sizeof(Piece), kChunkBytes), kPieceBytes));
    if (piece == nullptr) return nullptr;
    cursor = reinterpret_cast<char*>(piece + 1);
    limit = reinterpret_cast<char*>(piece) + piece->bytes;
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
