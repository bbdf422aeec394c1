// Watermark and debt; see retention.h.
#include "arena/retention.h"

#include "base/bits.h"
#include "geometry/constants.h"

namespace hz3 {

void Retention::end_generation(std::size_t used_pages) {
  // Rounded up, so that a small watermark falls as well.
  watermark_pages_ = max_of(used_pages, watermark_pages_ - (watermark_pages_ + 7) / 8);
  debt_pages_ /= 2;
}

std::size_t Retention::excess_pages(std::size_t used_pages, std::size_t dirty_pages,
                                    std::size_t percent) const {
  const std::size_t allowed = max_of(watermark_pages_ * percent / 100, used_pages);
  const std::size_t committed = used_pages + dirty_pages;
  return committed > allowed ? committed - allowed : 0;
}

bool Retention::is_in_debt(std::size_t limit_bytes) const {
  return limit_bytes != 0 && debt_pages_ > limit_bytes >> kPageShift;
}

}  // namespace hz3
