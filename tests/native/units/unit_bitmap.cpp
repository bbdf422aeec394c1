// The bitmap against a plain array of flags, over random states and every question it answers.
#include "base/bitmap.h"
#include "support/check.hpp"
#include "support/random.hpp"

namespace {

using hz3test::Random;

template <unsigned kBits>
struct Reference {
  bool flags[kBits] = {};

  void assign(unsigned first, unsigned count, bool value) {
    for (unsigned bit = first; bit < first + count; ++bit) flags[bit] = value;
  }
  unsigned next(unsigned from, bool value, unsigned none) const {
    for (unsigned bit = from; bit < kBits; ++bit) {
      if (flags[bit] == value) return bit;
    }
    return none;
  }
  unsigned count(unsigned first, unsigned length) const {
    unsigned total = 0;
    for (unsigned bit = first; bit < first + length; ++bit) total += flags[bit] ? 1U : 0U;
    return total;
  }
  unsigned find_run(unsigned length, unsigned alignment) const {
    for (unsigned start = 0; start + length <= kBits; start += alignment) {
      if (count(start, length) == length) return start;
    }
    return hz3::Bitmap<kBits>::kNone;
  }
  unsigned longest_run() const {
    unsigned best = 0;
    unsigned here = 0;
    for (const bool flag : flags) {
      here = flag ? here + 1 : 0;
      best = here > best ? here : best;
    }
    return best;
  }
};

template <unsigned kBits>
void compare(const hz3::Bitmap<kBits>& bitmap, const Reference<kBits>& reference, Random& random) {
  constexpr unsigned kNone = hz3::Bitmap<kBits>::kNone;
  CHECK_EQ(bitmap.count(), reference.count(0, kBits));
  CHECK_EQ(bitmap.longest_run(), reference.longest_run());
  for (unsigned bit = 0; bit < kBits; ++bit) {
    CHECK_EQ(bitmap.test(bit), reference.flags[bit]);
    CHECK_EQ(bitmap.next_set(bit), reference.next(bit, true, kNone));
    CHECK_EQ(bitmap.next_clear(bit), reference.next(bit, false, kBits));
  }
  for (int look = 0; look < 40; ++look) {
    const auto first = static_cast<unsigned>(random.below(kBits));
    const auto length = static_cast<unsigned>(random.below(kBits - first) + 1);
    CHECK_EQ(bitmap.count(first, length), reference.count(first, length));
    const auto wanted = static_cast<unsigned>(random.between(1, 40));
    const unsigned alignment = 1U << random.below(7);
    CHECK_EQ(bitmap.find_run(wanted, alignment), reference.find_run(wanted, alignment));
  }
}

template <unsigned kBits>
void run_random_states(std::uint64_t seed) {
  Random random(seed);
  hz3::Bitmap<kBits> bitmap;
  Reference<kBits> reference;
  compare(bitmap, reference, random);
  for (int round = 0; round < 400; ++round) {
    const auto first = static_cast<unsigned>(random.below(kBits));
    const unsigned most = random.chance(20) ? kBits - first : 1 + (kBits - first) / 8;
    const auto count = static_cast<unsigned>(random.below(most) + 1);
    const bool value = random.chance(55);
    if (value) {
      bitmap.set(first, count);
    } else {
      bitmap.clear(first, count);
    }
    reference.assign(first, count, value);
    compare(bitmap, reference, random);
  }
}

TEST(random_states_of_a_segment) { run_random_states<256>(1); }
TEST(random_states_of_one_word) { run_random_states<64>(2); }
TEST(random_states_of_half_a_word) { run_random_states<32>(3); }
TEST(random_states_of_many_words) { run_random_states<512>(4); }

TEST(full_and_empty) {
  hz3::Bitmap<256> bitmap;
  CHECK_EQ(bitmap.find_run(1, 1), hz3::Bitmap<256>::kNone);
  bitmap.set(0, 256);
  CHECK_EQ(bitmap.find_run(256, 256), 0U);
  CHECK_EQ(bitmap.find_run(257, 1), hz3::Bitmap<256>::kNone);
  CHECK_EQ(bitmap.longest_run(), 256U);
  CHECK_EQ(bitmap.next_clear(0), 256U);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
