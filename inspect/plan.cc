#include "plan.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "capture.h"

namespace qwen_infer::inspect {

namespace {

constexpr int64_t kMegabyte = 1000000;
// How many weights of a row a page may have by itself: more than 16 are not looked at one by one, and fewer than 4 hide
// where attention goes.
constexpr std::array<int, 5> kStrongest = {16, 12, 8, 6, 4};

topk::Status NamedLayers(const Options& options, const PageShape& shape, std::vector<int>& out) {
  std::set<int> layers;
  for (const LayerRange& range : options.layers) {
    if (range.last >= shape.n_layer) {
      return topk::InvalidArgument("--layers: there is no layer " + std::to_string(range.last) + ", the model has " +
                                   std::to_string(shape.n_layer) + ", from 0 on");
    }
    for (int layer = range.first; layer <= range.last; ++layer) layers.insert(layer);
  }
  out.assign(layers.begin(), layers.end());
  return {};
}

// `count` of `n` layers, evenly spread from the first to the last.
std::vector<int> Spread(int64_t count, int64_t n) {
  std::vector<int> layers;
  for (int64_t i = 0; i < count; ++i) {
    layers.push_back(static_cast<int>(count > 1 ? (i * (n - 1) + (count - 1) / 2) / (count - 1) : 0));
  }
  return layers;
}

}  // namespace

int64_t PageBytes(const PageShape& shape, int64_t n_layer, int64_t strongest) {
  const int64_t rows = n_layer * (shape.n_head + 1) + 1;  // of heads and means
  const auto of_rows = rows * BytesOfRows(shape.n_token, static_cast<int>(strongest));
  const auto received = n_layer * shape.n_token * static_cast<int64_t>(sizeof(float));
  constexpr int64_t kDigits = 4;  // of base64, for three bytes
  constexpr int64_t kBytes = 3;
  return shape.n_setting * (of_rows + received) * kDigits / kBytes;
}

topk::Status MakePlan(const Options& options, const PageShape& shape, Plan& out) {
  out.layers = Spread(shape.n_layer, shape.n_layer);
  if (!options.layers.empty()) {
    if (topk::Status status = NamedLayers(options, shape, out.layers); !status.ok()) return status;
  }
  out.strongest = options.strongest;
  if (options.html.empty()) {
    if (out.strongest == 0) out.strongest = kStrongest.back();
    return {};
  }
  const int64_t most = options.max_megabytes * kMegabyte;
  const auto n_layer = static_cast<int64_t>(out.layers.size());
  const auto fits = [&](int64_t layers, int64_t strongest) { return PageBytes(shape, layers, strongest) <= most; };
  if (out.strongest == 0) {
    const auto* const found =
        std::find_if(kStrongest.begin(), kStrongest.end(), [&](int n) { return fits(n_layer, n); });
    out.strongest = found != kStrongest.end() ? *found : kStrongest.back();
  }
  if (fits(n_layer, out.strongest)) return {};
  int64_t fitting = n_layer;
  while (fitting > 0 && !fits(fitting, out.strongest)) --fitting;
  if (options.layers.empty() && fitting > 0) {
    out.layers = Spread(fitting, shape.n_layer);
    return {};
  }
  const int64_t needed = (PageBytes(shape, n_layer, out.strongest) + kMegabyte - 1) / kMegabyte;
  return topk::InvalidArgument(
      std::to_string(shape.n_token) + " tokens in " + std::to_string(n_layer) + " layers of " +
      std::to_string(shape.n_head) + " heads, with " + std::to_string(out.strongest) + " weights each, take " +
      std::to_string(needed) + " MB: " +
      (options.layers.empty() ? "shorten the text" : "name fewer --layers (" + std::to_string(fitting) + " fit)") +
      (options.strongest > 0 ? ", lower --strongest" : "") + ", or raise --max_size from " +
      std::to_string(options.max_megabytes));
}

}  // namespace qwen_infer::inspect
