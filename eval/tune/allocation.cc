#include "eval/tune/allocation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace qwen_infer::tune {

namespace {

// Candidate budgets: this many to an octave, and multiples of kRounding. Finer ones would be told apart by noise alone.
constexpr double kStepsPerOctave = 8;
constexpr int64_t kRounding = 4;

std::vector<int64_t> Candidates(int64_t least, int64_t most) {
  std::vector<int64_t> candidates = {least};
  for (int step = 1; candidates.back() < most; ++step) {
    const double exact = static_cast<double>(least) * std::exp2(step / kStepsPerOctave);
    const int64_t rounded = std::min<int64_t>(most, std::llround(exact / kRounding) * kRounding);
    if (rounded > candidates.back()) candidates.push_back(rounded);
  }
  return candidates;
}

struct Vertex {
  int64_t k = 0;
  double kl = 0;
};

// What a key more saves between two budgets.
double GainPerKey(const Vertex& a, const Vertex& b) { return (a.kl - b.kl) / static_cast<double>(b.k - a.k); }

// The lower convex hull of a curve over the candidates.
std::vector<Vertex> HullOf(const Curve& curve, std::span<const int64_t> candidates) {
  std::vector<Vertex> hull;
  for (const int64_t k : candidates) {
    const Vertex next = {k, curve.Kl(k)};
    while (hull.size() > 1 && GainPerKey(hull[hull.size() - 2], hull.back()) <= GainPerKey(hull.back(), next)) {
      hull.pop_back();
    }
    hull.push_back(next);
  }
  return hull;
}

// Steps along the hulls in the order of what they gain, each a layer and its next budget.
class Ascent {
 public:
  explicit Ascent(std::span<const Curve> curves) {
    const std::vector<CurvePoint>& measured = curves.front().points();
    const std::vector<int64_t> candidates = Candidates(measured.front().k, measured.back().k);
    for (const Curve& curve : curves) hulls_.push_back(HullOf(curve, candidates));
    at_.assign(curves.size(), 0);
  }

  Budgets Current() const {
    Budgets budgets;
    for (size_t layer = 0; layer < hulls_.size(); ++layer) budgets.push_back(hulls_[layer][at_[layer]].k);
    return budgets;
  }

  // Takes the best step that costs at most so many keys; false if there is none.
  bool Step(int64_t keys) {
    size_t best = hulls_.size();
    double best_gain = 0;
    for (size_t layer = 0; layer < hulls_.size(); ++layer) {
      if (at_[layer] + 1 == hulls_[layer].size()) continue;
      const Vertex& now = hulls_[layer][at_[layer]];
      const Vertex& next = hulls_[layer][at_[layer] + 1];
      const double gain = GainPerKey(now, next);
      if (next.k - now.k > keys || gain <= best_gain) continue;
      best = layer;
      best_gain = gain;
    }
    if (best == hulls_.size()) return false;
    ++at_[best];
    return true;
  }

 private:
  std::vector<std::vector<Vertex>> hulls_;  // by layer
  std::vector<size_t> at_;
};

int64_t SumOf(const Budgets& budgets) { return std::accumulate(budgets.begin(), budgets.end(), int64_t{0}); }

}  // namespace

double MeanOf(const Budgets& budgets) {
  return static_cast<double>(SumOf(budgets)) / static_cast<double>(budgets.size());
}

int64_t FixedBudget(const Budgets& budgets) { return std::max<int64_t>(1, std::llround(MeanOf(budgets))); }

double ExpectedKl(std::span<const Curve> curves, const Budgets& budgets) {
  double sum = 0;
  for (size_t layer = 0; layer < curves.size(); ++layer) sum += curves[layer].Kl(budgets[layer]);
  return sum;
}

topk::Status AllocateBudget(std::span<const Curve> curves, double mean, Budgets& out) {
  Ascent ascent(curves);
  const auto allowed = static_cast<int64_t>(std::floor(mean * static_cast<double>(curves.size())));
  if (SumOf(ascent.Current()) > allowed) {
    return topk::InvalidArgument("the least budget of a layer is " + std::to_string(ascent.Current().front()));
  }
  while (ascent.Step(allowed - SumOf(ascent.Current()))) {
  }
  out = ascent.Current();
  return {};
}

topk::Status AllocateKl(std::span<const Curve> curves, double kl, Budgets& out) {
  Ascent ascent(curves);
  while (ExpectedKl(curves, ascent.Current()) > kl) {
    if (ascent.Step(curves.front().points().back().k)) continue;
    return topk::InvalidArgument("with " + std::to_string(curves.front().points().back().k) +
                                 " keys in every layer, the most that are tried, a divergence of " +
                                 std::to_string(ExpectedKl(curves, ascent.Current())) + " nats is expected");
  }
  out = ascent.Current();
  return {};
}

topk::Status AllocateMass(std::span<const Curve> curves, double mass, Budgets& out) {
  out.clear();
  const std::vector<CurvePoint>& measured = curves.front().points();
  const std::vector<int64_t> candidates = Candidates(measured.front().k, measured.back().k);
  for (size_t layer = 0; layer < curves.size(); ++layer) {
    const Curve& curve = curves[layer];
    const auto enough =
        std::find_if(candidates.begin(), candidates.end(), [&](int64_t k) { return curve.Mass(k) >= mass; });
    if (enough == candidates.end()) {
      return topk::InvalidArgument("layer " + std::to_string(layer) + " has a mean mass of " +
                                   std::to_string(curve.Mass(candidates.back())) + " with " +
                                   std::to_string(candidates.back()) + " keys, the most that are tried");
    }
    out.push_back(*enough);
  }
  return {};
}

}  // namespace qwen_infer::tune
