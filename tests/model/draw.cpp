// How random programs are drawn: sizes by profile, operations by weight.
#include "model/model.hpp"

namespace hz3test {
namespace {

// Sizes within a few bytes of a power of two or a quarter between two of them, where size classes
// and page counts change.
std::size_t draw_edge(Random& random, unsigned max_bit) {
  const std::size_t power = std::size_t{1} << random.between(3, max_bit);
  const std::size_t eighth = power / 8;
  const std::size_t centre = power + eighth * random.below(8);
  const std::size_t shift = random.below(7);
  return centre + shift > 3 ? centre + shift - 3 : 1;
}

std::size_t draw_app(Random& random) {
  const std::uint64_t dice = random.below(1000);
  if (dice < 700) return random.between(1, 256);
  if (dice < 930) return random.between(257, 4096);
  if (dice < 995) return random.between(4097, 65536);
  return random.between(65537, std::size_t{2} << 20);
}

std::size_t draw_large(Random& random) {
  if (random.chance(1)) return random.between(std::size_t{8} << 20, std::size_t{48} << 20);
  return random.between(0, 65536) + random.log_uniform(std::size_t{4} << 20);
}

// Weights in permille, in the order of Kind.
constexpr std::uint16_t kWeights[kKinds] = {300, 80, 130, 40, 20, 280, 90, 19, 40, 1};

Kind draw_kind(Random& random) {
  std::uint64_t dice = random.below(1000);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (dice < kWeights[kind]) return static_cast<Kind>(kind);
    dice -= kWeights[kind];
  }
  return Kind::kFree;
}

}  // namespace

std::size_t draw_size(Random& random, Profile profile) {
  switch (profile) {
    case Profile::kSmall:
      return random.log_uniform(1024);
    case Profile::kApp:
      return draw_app(random);
    case Profile::kEdges:
      return draw_edge(random, 19);
    case Profile::kLarge:
      return draw_large(random);
    case Profile::kMixed:
      break;
  }
  const std::uint64_t dice = random.below(1000);
  if (dice < 500) return random.log_uniform(1024);
  if (dice < 800) return draw_app(random);
  if (dice < 996) return draw_edge(random, 16);
  return draw_large(random);
}

Operation draw_operation(Random& random, Profile profile, std::uint32_t slots) {
  Operation operation{draw_kind(random), static_cast<std::uint32_t>(random.below(slots)), 0, 0};
  // Size 0 now and then: it is a block like any other.
  operation.size = random.below(500) == 0 ? 0 : draw_size(random, profile);
  if (operation.kind == Kind::kAligned || operation.kind == Kind::kPosixAligned) {
    const std::size_t max_bit = random.chance(2) ? 21 : 12;
    operation.alignment = std::size_t{1} << random.between(3, max_bit);
  }
  return operation;
}

}  // namespace hz3test
