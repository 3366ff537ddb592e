#include "eval/tune/candidates.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace qwen_infer::tune {

namespace {

// Of the dropped mass, from a target that hardly any budget meets to one that the smallest does; each step changes the
// number of kept keys by about a tenth.
constexpr std::array<const char*, 15> kMassTargets = {"0.70", "0.74", "0.78", "0.81", "0.84", "0.86", "0.88", "0.90",
                                                      "0.91", "0.92", "0.93", "0.94", "0.95", "0.96", "0.97"};
// A row that needs no more than this is cheap enough to have it; one that needs more than so many times the fixed
// budget is so diffuse that the keys do more elsewhere.
constexpr int64_t kLeastShare = 4;
constexpr std::array<int64_t, 2> kMostTimes = {3, 8};

}  // namespace

eval::Setting SettingFor(const std::string& name, const std::string& text) {
  eval::Setting setting{.name = name};
  const topk::Status status = ParseSettings("crossover=0," + text, setting.settings);
  if (!status.ok()) throw std::logic_error(status.message());  // of a text that is written here
  return setting;
}

std::vector<eval::Setting> Candidates(int64_t fixed_k, std::span<const std::string> layers, bool mass_targets) {
  const std::string fixed = "k=" + std::to_string(fixed_k);
  std::vector<eval::Setting> candidates = {SettingFor(fixed, fixed)};
  for (const std::string& text : layers) candidates.push_back(SettingFor(text, text));
  if (!mass_targets) return candidates;
  const int64_t least = std::max<int64_t>(1, fixed_k / kLeastShare);
  for (const int64_t times : kMostTimes) {
    for (const char* mass : kMassTargets) {
      const std::string text = "k=" + std::to_string(least) + ",min_mass=" + mass +
                               ",max_k=" + std::to_string(times * fixed_k) + ",dense_beyond_max_k=off";
      candidates.push_back(SettingFor(text, text));
    }
  }
  return candidates;
}

std::vector<Tried> TriedOf(std::span<const eval::Setting> candidates, std::span<const eval::WindowScores> windows) {
  std::vector<Tried> tried;
  for (const eval::Setting& candidate : candidates) {
    const size_t way = eval::kFullAttention + 1 + tried.size();
    double kl = 0;
    size_t tokens = 0;
    topk::Statistics attention;
    for (const eval::WindowScores& window : windows) {
      const eval::WayScores& scores = window.at(way);
      kl = std::accumulate(scores.kl.begin(), scores.kl.end(), kl);
      tokens += scores.kl.size();
      attention.Add(scores.attention);
    }
    tried.push_back({.settings = candidate.name,
                     .kl = kl / static_cast<double>(tokens),
                     .keys_per_row = static_cast<double>(attention.keys_kept) / static_cast<double>(attention.rows)});
  }
  return tried;
}

const Tried& Best(std::span<const Tried> tried) {
  const double allowed = tried.front().keys_per_row;
  const Tried* best = &tried[1];
  double least = std::numeric_limits<double>::infinity();
  for (const Tried& one : tried.subspan(1)) {
    if (one.keys_per_row > allowed || one.kl >= least) continue;
    best = &one;
    least = one.kl;
  }
  return *best;
}

const Tried* Fewest(std::span<const Tried> tried, double kl) {
  const Tried* fewest = nullptr;
  for (const Tried& one : tried) {
    if (one.kl <= kl && (fewest == nullptr || one.keys_per_row < fewest->keys_per_row)) fewest = &one;
  }
  return fewest;
}

}  // namespace qwen_infer::tune
