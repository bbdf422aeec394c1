// The shadow of the address space and the exchange: the parts of the model that threads share.
#include <atomic>

#include "model/model.hpp"
#include "support/process.hpp"

namespace hz3test {
namespace {

constexpr std::size_t kGranuleBytes = 8;
constexpr unsigned kRegionBits = 22;  // one bitmap per 4 MiB of address space
constexpr std::size_t kRegionBytes = std::size_t{1} << kRegionBits;
constexpr std::size_t kWordsPerRegion = kRegionBytes / kGranuleBytes / 64;
constexpr std::size_t kTableSlots = std::size_t{1} << 16;

using Word = std::atomic<std::uint64_t>;

// Open addressing; an entry never changes once its key is set. Never emptied: 65,536 regions are
// 256 GiB of address space, more than the tests walk over.
struct Region {
  std::atomic<std::uintptr_t> key;  // address >> kRegionBits, plus one
  std::atomic<Word*> words;
};

Region* table() {
  static Region* const regions = map_zeroed<Region>(kTableSlots);
  return regions;
}

Word* find_words(std::uintptr_t address) {
  const std::uintptr_t key = (address >> kRegionBits) + 1;
  Region* const regions = table();
  for (std::size_t probe = mix(key) % kTableSlots, tries = 0;; probe = (probe + 1) % kTableSlots) {
    CHECKF(++tries < kTableSlots, "the shadow is full");
    Region& region = regions[probe];
    std::uintptr_t seen = region.key.load(std::memory_order_acquire);
    if (seen == 0 && region.key.compare_exchange_strong(seen, key, std::memory_order_acq_rel)) {
      Word* const words = map_zeroed<Word>(kWordsPerRegion);
      region.words.store(words, std::memory_order_release);
      return words;
    }
    if (seen != key) continue;
    Word* words = region.words.load(std::memory_order_acquire);
    while (words == nullptr) words = region.words.load(std::memory_order_acquire);
    return words;
  }
}

// Calls change(word, mask) for each word of bits that [address, address + size) covers.
template <typename Change>
bool for_each_word(const void* block, std::size_t size, Change change) {
  auto address = reinterpret_cast<std::uintptr_t>(block);
  const std::uintptr_t end = address + (size == 0 ? 1 : size);
  bool good = true;
  while (address < end) {
    Word* const words = find_words(address);
    const std::uintptr_t region_end = (address / kRegionBytes + 1) * kRegionBytes;
    const std::uintptr_t stop = end < region_end ? end : region_end;
    std::size_t granule = address % kRegionBytes / kGranuleBytes;
    const std::size_t last = (stop - 1) % kRegionBytes / kGranuleBytes;
    while (granule <= last) {
      const std::size_t bit = granule % 64;
      const std::size_t count = last - granule + 1 < 64 - bit ? last - granule + 1 : 64 - bit;
      const std::uint64_t mask = (count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1)
                                 << bit;
      good = change(words[granule / 64], mask) && good;
      granule += count;
    }
    address = stop;
  }
  return good;
}

struct ExchangeSlot {
  std::atomic<bool> locked{false};
  Block block{};
};
ExchangeSlot exchange_slots[Exchange::kSlots];

}  // namespace

bool Shadow::take(const void* address, std::size_t size) {
  return for_each_word(address, size, [](Word& word, std::uint64_t mask) {
    return (word.fetch_or(mask, std::memory_order_relaxed) & mask) == 0;
  });
}

bool Shadow::release(const void* address, std::size_t size) {
  return for_each_word(address, size, [](Word& word, std::uint64_t mask) {
    return (word.fetch_and(~mask, std::memory_order_relaxed) & mask) == mask;
  });
}

Block Exchange::swap(std::size_t slot, const Block& block) {
  ExchangeSlot& place = exchange_slots[slot % kSlots];
  while (place.locked.exchange(true, std::memory_order_acquire)) continue;
  const Block taken = place.block;
  place.block = block;
  place.locked.store(false, std::memory_order_release);
  return taken;
}

}  // namespace hz3test
