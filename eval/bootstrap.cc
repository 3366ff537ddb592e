#include "bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace qwen_infer::eval {

namespace {

// The share of the means that is left out at each end.
constexpr double kTail = 0.025;

// A number below `bound`, which is far below 2^32, so that the bias is small too. Not std::uniform_int_distribution,
// which every library implements in its own way.
size_t Draw(std::mt19937_64& random, size_t bound) { return static_cast<size_t>(((random() >> 32) * bound) >> 32); }

double MeanOfDrawn(std::span<const Block> blocks, std::mt19937_64& random) {
  Block drawn;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[Draw(random, blocks.size())];
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
  std::mt19937_64 random(seed);
  std::vector<double> means(kResamples);
  for (double& drawn : means) drawn = MeanOfDrawn(blocks, random);
  std::sort(means.begin(), means.end());
  const auto tail = static_cast<size_t>(std::lround(kTail * kResamples));
  return {mean, means[tail], means[means.size() - 1 - tail]};
}

}  // namespace qwen_infer::eval
