#include "eval/tune/refinements.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "eval/tune/budget_settings.h"
#include "shared/fixed.h"

namespace qwen_infer::tune {

namespace {

// One layer with full attention costs as much as the budgets of several; more than two leave next to nothing.
constexpr std::array<int64_t, 3> kDenseLayers = {0, 1, 2};
// As many as attention is known to rest on (Xiao et al., 2023).
constexpr std::array<int64_t, 2> kSinks = {0, 4};
// Scores without their tail make a sharper softmax; a little in both directions.
constexpr std::array<double, 3> kTemperatures = {1, 0.95, 1.05};

std::vector<size_t> LayersByLoss(const Base& base) {
  std::vector<size_t> layers(base.curves.size());
  std::iota(layers.begin(), layers.end(), size_t{0});
  const auto loss = [&](size_t layer) { return base.curves[layer].Kl(base.budgets[layer]); };
  std::sort(layers.begin(), layers.end(),
            [&](size_t a, size_t b) { return loss(a) != loss(b) ? loss(a) > loss(b) : a < b; });
  return layers;
}

// Full attention in `dense` layers, and budgets of `mean` keys in the others.
std::optional<std::string> WithBudgets(const Base& base, std::span<const size_t> dense, double mean) {
  const auto is_dense = [&](size_t layer) { return std::find(dense.begin(), dense.end(), layer) != dense.end(); };
  std::vector<Curve> others;
  for (size_t layer = 0; layer < base.curves.size(); ++layer) {
    if (!is_dense(layer)) others.push_back(base.curves[layer]);
  }
  Budgets of_others;
  if (others.empty() || !AllocateBudget(others, mean, of_others).ok()) return std::nullopt;
  Budgets budgets;
  auto next = of_others.begin();
  for (size_t layer = 0; layer < base.curves.size(); ++layer) {
    budgets.push_back(is_dense(layer) ? kAllKeys : *next++);
  }
  return SettingsOf(budgets, FixedBudget(of_others));
}

// The same with the best mass target of those that keep no more.
std::optional<std::string> WithMassTarget(const Base& base, std::span<const size_t> dense, double mean) {
  const Tried* best = nullptr;
  for (const Tried& one : base.mass_targets) {
    if (one.keys_per_row <= mean && (best == nullptr || one.kl < best->kl)) best = &one;
  }
  if (best == nullptr) return std::nullopt;
  std::string text = best->settings;
  for (const size_t layer : dense) {
    const std::string at = "@" + std::to_string(layer) + "=";
    text.append(",k").append(at).append(std::to_string(kAllKeys)).append(",min_mass").append(at).append("0");
  }
  return text;
}

std::optional<std::string> SettingsFor(const Base& base, std::span<const size_t> by_loss,
                                       const Refinement& refinement) {
  std::optional<std::string> text = base.settings;
  if (refinement.dense_layers > 0 || refinement.sinks > 0) {
    const auto n_layer = static_cast<double>(base.curves.size());
    const auto n_dense = static_cast<double>(refinement.dense_layers);
    if (n_dense >= n_layer) return std::nullopt;
    const double left = (n_layer * MeanOf(base.budgets) - n_dense * base.keys_seen) / (n_layer - n_dense);
    const double mean = left - static_cast<double>(refinement.sinks);
    const std::span<const size_t> dense = by_loss.first(static_cast<size_t>(refinement.dense_layers));
    text = base.mass_targets.empty() ? WithBudgets(base, dense, mean) : WithMassTarget(base, dense, mean);
  }
  if (!text) return std::nullopt;
  if (refinement.sinks > 0) text->append(",sinks=").append(std::to_string(refinement.sinks));
  if (refinement.temperature != 1) text->append(",temperature=").append(Fixed(refinement.temperature, 2));
  return text;
}

}  // namespace

std::vector<RefinedWay> RefinedWays(const Base& base) {
  const std::vector<size_t> by_loss = LayersByLoss(base);
  std::vector<RefinedWay> ways;
  for (const int64_t dense_layers : kDenseLayers) {
    for (const int64_t sinks : kSinks) {
      for (const double temperature : kTemperatures) {
        const Refinement refinement = {dense_layers, sinks, temperature};
        if (std::optional<std::string> settings = SettingsFor(base, by_loss, refinement)) {
          ways.push_back({refinement, *std::move(settings)});
        }
      }
    }
  }
  return ways;
}

size_t BestRefined(std::span<const RefinedWay> ways, std::span<const Tried> tried, double allowed,
                   const std::function<eval::Estimate(size_t, size_t)>& difference) {
  size_t best = 0;
  const auto change = [&](auto Refinement::* kind) {
    const size_t before = best;
    for (size_t way = 0; way < ways.size(); ++way) {
      Refinement changed = ways[before].refinement;
      changed.*kind = ways[way].refinement.*kind;
      if (way == before || ways[way].refinement != changed) continue;
      if (tried[way].keys_per_row > allowed || tried[way].kl >= tried[best].kl) continue;
      if (difference(way, before).high < 0) best = way;
    }
  };
  change(&Refinement::dense_layers);
  change(&Refinement::sinks);
  change(&Refinement::temperature);
  return best;
}

}  // namespace qwen_infer::tune
