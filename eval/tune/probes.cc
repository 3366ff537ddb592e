#include "eval/tune/probes.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "eval/tune/budget_settings.h"
#include "topk/attention.h"

namespace qwen_infer::tune {

namespace {

// Of texts that are written here, so that a mistake is ours.
Settings Parsed(const std::string& text) {
  Settings settings;
  if (const topk::Status status = ParseSettings(text, settings); !status.ok()) throw std::logic_error(status.message());
  return settings;
}

std::string KeepAllText() { return "k=" + std::to_string(kAllKeys) + ",crossover=0,mass=off"; }

constexpr int64_t kFactor = 4;

// With the largest budget a layer loses next to nothing, and yet predictions diverge: where activations are quantised
// between layers, the least change moves some of them by a step, and as far however small it is. What that makes is no
// matter of the budget and does not add up over layers. The largest budget gets the power law of the two before it.
void SubtractRounding(std::vector<CurvePoint>& points) {
  const double rounding = points.back().kl;
  for (CurvePoint& point : points) point.kl = std::max(0.0, point.kl - rounding);
  if (points.size() < 3) return;
  const double before = points[points.size() - 3].kl;
  const double last = points[points.size() - 2].kl;
  points.back().kl = before > 0 ? last * std::min(1.0, last / before) : 0;
}

}  // namespace

Settings KeepAll() { return Parsed(KeepAllText()); }

std::vector<int64_t> ProbedBudgets(int64_t least_seen) {
  std::vector<int64_t> budgets;
  const int64_t most = std::min(kMostBudget, least_seen - 1);
  for (int64_t k = kLeastBudget; k < most; k *= kFactor) budgets.push_back(k);
  budgets.push_back(most);
  return budgets;
}

std::vector<eval::Setting> Probes(int64_t n_layer, std::span<const int64_t> budgets) {
  std::vector<eval::Setting> probes;
  for (int64_t layer = 0; layer < n_layer; ++layer) {
    const std::string at = "@" + std::to_string(layer) + "=";
    for (const int64_t k : budgets) {
      const std::string name = "k" + at + std::to_string(k);
      std::string text = KeepAllText();
      text.append(",").append(name).append(",mass").append(at).append("exact");
      probes.push_back({.name = name, .settings = Parsed(text)});
    }
  }
  return probes;
}

std::vector<Curve> CurvesOf(std::span<const eval::WindowScores> windows, int64_t n_layer,
                            std::span<const int64_t> budgets, int64_t most_seen) {
  std::vector<Curve> curves;
  size_t way = eval::kFullAttention + 1;
  for (int64_t layer = 0; layer < n_layer; ++layer) {
    std::vector<CurvePoint> points;
    for (const int64_t k : budgets) {
      double kl = 0;
      size_t tokens = 0;
      topk::Statistics attention;
      for (const eval::WindowScores& window : windows) {
        const eval::WayScores& scores = window.at(way);
        kl = std::accumulate(scores.kl.begin(), scores.kl.end(), kl);
        tokens += scores.kl.size();
        attention.Add(scores.attention);
      }
      points.push_back({k, kl / static_cast<double>(tokens), attention.mass_rows > 0 ? attention.MeanMass() : 1});
      ++way;
    }
    SubtractRounding(points);
    if (points.back().k < kMostBudget) points.push_back({.k = most_seen, .kl = 0, .mass = 1});
    curves.emplace_back(std::move(points));
  }
  return curves;
}

}  // namespace qwen_infer::tune
