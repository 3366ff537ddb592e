#include "eval/tune/curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qwen_infer::tune {

namespace {

// Divergences below this are none: f32 logits leave about as much.
constexpr double kLeastKl = 1e-9;

// Where k is between its neighbours among the points, in log k: the left one and the share of the way to the right one.
struct Place {
  size_t left = 0;
  double share = 0;
};

Place PlaceOf(const std::vector<CurvePoint>& points, int64_t k) {
  if (k <= points.front().k) return {};
  if (k >= points.back().k) return {points.size() - 2, 1};
  size_t left = 0;
  while (points[left + 1].k <= k) ++left;
  const auto from_left = [&](int64_t to) {
    return std::log(static_cast<double>(to) / static_cast<double>(points[left].k));
  };
  return {left, from_left(k) / from_left(points[left + 1].k)};
}

}  // namespace

Curve::Curve(std::vector<CurvePoint> points) : points_(std::move(points)) {
  for (size_t i = points_.size(); i-- > 1;) {
    points_[i - 1].kl = std::max(points_[i - 1].kl, points_[i].kl);
    points_[i - 1].mass = std::min(points_[i - 1].mass, points_[i].mass);
  }
}

double Curve::Kl(int64_t k) const {
  const auto [left, share] = PlaceOf(points_, k);
  const auto log_kl = [](const CurvePoint& point) { return std::log(std::max(point.kl, kLeastKl)); };
  return std::exp(std::lerp(log_kl(points_[left]), log_kl(points_[left + 1]), share));
}

double Curve::Mass(int64_t k) const {
  const auto [left, share] = PlaceOf(points_, k);
  return std::lerp(points_[left].mass, points_[left + 1].mass, share);
}

}  // namespace qwen_infer::tune
