#include "end_to_end/result.h"

#include <algorithm>

namespace qwen_infer::end_to_end_bench {

std::string Workload::KindName() const { return kind == Kind::kRead ? "pp" : "tg"; }

std::string Workload::Name() const { return KindName() + std::to_string(tokens) + " @ d" + std::to_string(depth); }

size_t FinishedRounds(const Seconds& seconds) {
  // Rounds begin with flash attention and end with top-k.
  size_t rounds = std::min(seconds[IndexOf(Way::kStockFlash)].size(), seconds[IndexOf(Way::kTopK)].size());
  if (const size_t products = seconds[IndexOf(Way::kStockProducts)].size(); products > 0) {
    rounds = std::min(rounds, products);
  }
  return rounds;
}

Row Evaluate(const Workload& test, const Seconds& seconds, size_t rounds) {
  Row row;
  row.test = test;
  for (const Way way : kWays) {
    const std::vector<double>& times = seconds[IndexOf(way)];
    for (size_t round = 0; round < std::min(rounds, times.size()); ++round) {
      row.rates[IndexOf(way)].push_back(static_cast<double>(test.tokens) / times[round]);
    }
  }
  const std::vector<double>& flash = row.rates[IndexOf(Way::kStockFlash)];
  const std::vector<double>& products = row.rates[IndexOf(Way::kStockProducts)];
  if (!products.empty() && Median(products) > Median(flash)) row.best_stock = Way::kStockProducts;
  row.speed_up = RatioOfNeighbours(row.rates[IndexOf(Way::kTopK)], row.rates[IndexOf(row.best_stock)]);
  return row;
}

}  // namespace qwen_infer::end_to_end_bench
