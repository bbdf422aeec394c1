// Retention: how much free memory recent demand justifies, and whether purging was premature.
//
// The watermark follows the most pages in use: up at once, down by an eighth per generation. Debt
// counts the pages that were given back and handed out again within one generation; it halves with
// each. Plain arithmetic, protected by the lock of the page heap.
#pragma once

#include <cstddef>

namespace hz3 {

class Retention {
 public:
  void note_use(std::size_t used_pages) {
    if (used_pages > watermark_pages_) watermark_pages_ = used_pages;
  }

  void note_retaken(std::size_t pages) { debt_pages_ += pages; }

  void end_generation(std::size_t used_pages);

  // How many of the dirty pages lie above `percent` of the watermark.
  std::size_t excess_pages(std::size_t used_pages, std::size_t dirty_pages,
                           std::size_t percent) const;

  // More debt than `limit_bytes`, which is not 0.
  bool is_in_debt(std::size_t limit_bytes) const;

  std::size_t watermark_pages() const { return watermark_pages_; }

 private:
  std::size_t watermark_pages_ = 0;
  std::size_t debt_pages_ = 0;
};

}  // namespace hz3
