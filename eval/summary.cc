#include "summary.h"

#include <algorithm>
#include <cmath>

namespace qwen_infer::eval {

namespace {

constexpr double kPercent = 100;

// Calls fn(window, index of the first score, and of the one after the last) for each block.
template <typename Fn>
void ForEachBlock(size_t n_window, const Positions& positions, Fn&& fn) {
  for (size_t window = 0; window < n_window; ++window) {
    for (int64_t first = positions.first; first < positions.last; first += kBlockTokens) {
      const int64_t last = std::min(first + kBlockTokens, positions.last);
      fn(window, static_cast<size_t>(first - 1), static_cast<size_t>(last - 1));
    }
  }
}

// Blocks of value(window, index) over the positions.
template <typename Value>
std::vector<Block> BlocksOf(size_t n_window, const Positions& positions, Value&& value) {
  std::vector<Block> blocks;
  ForEachBlock(n_window, positions, [&](size_t window, size_t first, size_t last) {
    Block block{.tokens = static_cast<int64_t>(last - first)};
    for (size_t i = first; i < last; ++i) block.sum += value(window, i);
    blocks.push_back(block);
  });
  return blocks;
}

// From a difference of mean log likelihoods to a change of perplexity.
Estimate InPercent(const Estimate& log_ratio) {
  const auto percent = [](double x) { return kPercent * std::expm1(x); };
  return {percent(log_ratio.mean), percent(log_ratio.low), percent(log_ratio.high)};
}

// The least value that this share of all values does not exceed; sorts a part of them.
double Quantile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

class Summarizer {
 public:
  Summarizer(std::span<const WindowScores> windows, uint64_t seed) : windows_(windows), seed_(seed) {}

  Quality QualityOf(size_t way, const Positions& positions) const {
    const std::vector<Block> nll = BlocksOf(
        windows_.size(), positions, [&](size_t window, size_t i) { return double{windows_[window][way].nll[i]}; });
    const std::vector<Block> kl = BlocksOf(
        windows_.size(), positions, [&](size_t window, size_t i) { return double{windows_[window][way].kl[i]}; });
    const std::vector<Block> agrees = BlocksOf(windows_.size(), positions, [&](size_t window, size_t i) {
      return static_cast<double>(windows_[window][way].agrees[i]);
    });
    Block all;
    for (const Block& block : nll) {
      all.tokens += block.tokens;
      all.sum += block.sum;
    }
    return {.positions = positions,
            .tokens = all.tokens,
            .perplexity = std::exp(all.sum / static_cast<double>(all.tokens)),
            .change = Change(way, kFullAttention, positions),
            .kl = BootstrapMean(kl, seed_),
            .kl_p99 = KlQuantile(way, positions, 0.99),
            .agreement = BootstrapMean(agrees, seed_)};
  }

  Estimate Change(size_t way, size_t against, const Positions& positions) const {
    const std::vector<Block> blocks = BlocksOf(windows_.size(), positions, [&](size_t window, size_t i) {
      return double{windows_[window][way].nll[i]} - double{windows_[window][against].nll[i]};
    });
    return InPercent(BootstrapMean(blocks, seed_));
  }

  WaySummary SummaryOf(size_t way, const Positions& scored) const {
    WaySummary summary{.scored = QualityOf(way, scored)};
    const auto n_token = static_cast<int64_t>(windows_.front()[way].nll.size()) + 1;
    for (const Positions& bucket : PositionBuckets(n_token)) summary.by_position.push_back(QualityOf(way, bucket));
    for (const WindowScores& window : windows_) {
      summary.seconds += window[way].seconds;
      summary.attention.Add(window[way].attention);
    }
    return summary;
  }

 private:
  double KlQuantile(size_t way, const Positions& positions, double share) const {
    std::vector<float> values;
    ForEachBlock(windows_.size(), positions, [&](size_t window, size_t first, size_t last) {
      const std::vector<float>& kl = windows_[window][way].kl;
      values.insert(values.end(), kl.begin() + static_cast<std::ptrdiff_t>(first),
                    kl.begin() + static_cast<std::ptrdiff_t>(last));
    });
    return Quantile(values, share);
  }

  std::span<const WindowScores> windows_;
  uint64_t seed_;
};

}  // namespace

Estimate KlDifference(std::span<const WindowScores> windows, size_t way, size_t against, const Positions& positions,
                      uint64_t seed) {
  const std::vector<Block> blocks = BlocksOf(windows.size(), positions, [&](size_t window, size_t i) {
    return double{windows[window][way].kl[i]} - double{windows[window][against].kl[i]};
  });
  return BootstrapMean(blocks, seed);
}

Summary Summarize(std::span<const WindowScores> windows, const Positions& scored, uint64_t seed) {
  const Summarizer summarizer(windows, seed);
  const WindowScores& first = windows.front();
  Summary summary{.windows = static_cast<int64_t>(windows.size()),
                  .tokens_read = static_cast<int64_t>(windows.size() * first[kFullAttention].nll.size())};
  for (size_t way = 0; way < first.size(); ++way) {
    summary.ways.push_back(summarizer.SummaryOf(way, scored));
    for (size_t against = kFullAttention + 1; against < way; ++against) {
      summary.differences.push_back(
          {way, against, summarizer.Change(way, against, scored), KlDifference(windows, way, against, scored, seed)});
    }
  }
  return summary;
}

}  // namespace qwen_infer::eval
