#include "bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "random.h"

namespace qwen_infer::eval {

namespace {

// The share of the means that is left out at each end.
constexpr double kTail = 0.025;

double MeanOfDrawn(std::span<const Block> blocks, Random& random) {
  Block drawn;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[random.Below(blocks.size())];
    drawn.sum += block.sum;
    drawn.tokens += block.tokens;
  }
  return drawn.sum / static_cast<double>(drawn.tokens);
}

}  // namespace

Estimate BootstrapMean(std::span<const Block> blocks, uint64_t seed) {
  Block all;
  for (const Block& block : blocks) {
    all.sum += block.sum;
    all.tokens += block.tokens;
  }
  const double mean =
      all.tokens == 0 ? std::numeric_limits<double>::quiet_NaN() : all.sum / static_cast<double>(all.tokens);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (blocks.size() < 2) return {mean, kNone, kNone};
  Random random(seed);
  std::vector<double> means(kResamples);
  for (double& drawn : means) drawn = MeanOfDrawn(blocks, random);
  std::sort(means.begin(), means.end());
  const auto tail = static_cast<size_t>(std::lround(kTail * kResamples));
  return {mean, means[tail], means[means.size() - 1 - tail]};
}

}  // namespace qwen_infer::eval
