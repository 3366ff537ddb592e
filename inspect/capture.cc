#include "capture.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace qwen_infer::inspect {

namespace {

// The keys that the mask leaves a row.
int64_t KeysSeen(const topk::AttentionInput& input, int64_t query, int64_t head) {
  if (input.mask.data == nullptr) return input.n_key;
  constexpr uint16_t kMinusInfinity = 0xFC00;  // in f16, the only type that ggml's operation has
  const auto* mask = reinterpret_cast<const uint16_t*>(input.mask.Row(0, head, query));
  return input.n_key - std::count(mask, mask + input.n_key, kMinusInfinity);
}

// Scores that are no numbers have no mass; then all counts as dropped.
double Dropped(float mass) { return std::isnan(mass) ? 1.0 : 1.0 - static_cast<double>(mass); }

void Count(int64_t seen, int64_t kept, float mass, topk::Statistics& sums) {
  topk::Statistics row;
  row.rows = 1;
  row.keys_seen = seen;
  row.keys_kept = kept;
  row.dense_rows = kept == seen ? 1 : 0;
  if (!std::isnan(mass)) {
    row.mass_rows = 1;
    row.mass_sum = mass;
    row.mass_min = mass;
  }
  sums.Add(row);
}

}  // namespace

int64_t BytesOfRows(int64_t n_token, int strongest) {
  constexpr int64_t kBytesOfWeight = sizeof(uint16_t) + sizeof(uint8_t);
  constexpr int64_t kBytesOfRow = sizeof(uint16_t) + sizeof(uint8_t);  // kept and dropped
  return n_token * (kBytesOfWeight * strongest + kBytesOfRow);
}

Capture::Capture(std::span<const int> layers, int64_t n_token, int strongest)
    : n_token_(n_token), strongest_(strongest), mean_(NewRows(1)) {
  for (const int layer : layers) layers_[layer].layer = layer;
  mean_of_heads_.weights.resize(static_cast<size_t>(n_token));
}

Rows Capture::NewRows(int64_t count) const {
  const auto rows = static_cast<size_t>(count * n_token_);
  const auto places = rows * static_cast<size_t>(strongest_);
  return {.keys = std::vector<uint16_t>(places),
          .weights = std::vector<uint8_t>(places),
          .kept = std::vector<uint16_t>(rows),
          .dropped = std::vector<uint8_t>(rows)};
}

std::vector<const LayerCapture*> Capture::layers() const {
  std::vector<const LayerCapture*> seen;
  for (const auto& [number, layer] : layers_) {
    if (!layer.heads.empty()) seen.push_back(&layer);
  }
  return seen;
}

void Capture::Begin(int64_t first_token, int64_t count) {
  first_token_ = first_token;
  count_ = count;
  n_layer_of_mean_ = 0;
  mean_of_layers_.resize(static_cast<size_t>(count));
  for (MeanRow& row : mean_of_layers_) row.weights.resize(static_cast<size_t>(n_token_));
  for (auto& [number, layer] : layers_) layer.is_seen = false;
}

void Capture::End() {
  for (int64_t i = 0; i < count_; ++i) {
    MeanRow& row = mean_of_layers_[static_cast<size_t>(i)];
    const double factor = 1.0 / static_cast<double>(std::max<int64_t>(n_layer_of_mean_, 1));
    for (const topk::KeyIndex key : row.keys) row.weights[key] *= static_cast<float>(factor);
    row.kept *= factor;
    row.dropped *= factor;
    Finish(row, 0, first_token_ + i, mean_, nullptr);
  }
}

void Capture::Write(int64_t of, int64_t token, double kept, double dropped, Rows& rows) {
  const auto row = static_cast<size_t>(of * n_token_ + token);
  const auto places = static_cast<size_t>(strongest_);
  KeepStrongest(scratch_, std::span(rows.keys).subspan(row * places, places),
                std::span(rows.weights).subspan(row * places, places));
  constexpr double kMost = 65535;
  rows.kept[row] = static_cast<uint16_t>(std::lround(std::min(kept, kMost)));
  rows.dropped[row] = PackShare(dropped);
}

void Capture::Finish(MeanRow& row, int64_t of, int64_t token, Rows& rows, MeanRow* sum) {
  scratch_.clear();
  for (const topk::KeyIndex key : row.keys) {
    scratch_.push_back({key, row.weights[key]});
    if (sum != nullptr) sum->Add(key, row.weights[key]);
    row.weights[key] = 0;
  }
  row.keys.clear();
  Write(of, token, row.kept, row.dropped, rows);
  if (sum != nullptr) {
    sum->kept += row.kept;
    sum->dropped += row.dropped;
  }
  row.kept = 0;
  row.dropped = 0;
}

void Capture::ObserveHead(LayerCapture& layer, int64_t head, int64_t query, const topk::AttentionInput& input,
                          const topk::SelectionView& selection, float mass) {
  const int64_t token = first_token_ + query;
  const auto row = static_cast<size_t>(query * input.n_head + head);
  const auto begin = static_cast<size_t>(selection.row_offsets[row]);
  const auto end = static_cast<size_t>(selection.row_offsets[row + 1]);
  if (end > begin && selection.keys[end - 1] > token) {
    throw std::runtime_error(
        "layer " + std::to_string(layer.layer) + ": token " + std::to_string(token) + " attends to key " +
        std::to_string(selection.keys[end - 1]) +
        ", so the cache of this model does not hold the tokens in their order: inspect cannot show it");
  }
  HeadFigures& figures = layer.heads[static_cast<size_t>(head)];
  const float share_of_head = 1.0F / static_cast<float>(input.n_head);
  scratch_.clear();
  for (size_t i = begin; i < end; ++i) {
    const topk::KeyIndex key = selection.keys[i];
    const float weight = selection.weights[i];
    scratch_.push_back({key, weight});
    mean_of_heads_.Add(key, share_of_head * weight);
    const size_t bin = DistanceBin(token - key);
    figures.weight[bin] += weight;
    figures.kept[bin] += 1;
    layer.received[static_cast<size_t>(key)] += share_of_head * weight;
  }
  const auto kept = static_cast<int64_t>(end - begin);
  Count(KeysSeen(input, query, head), kept, mass, figures.sums);
  mean_of_heads_.kept += share_of_head * static_cast<double>(kept);
  mean_of_heads_.dropped += share_of_head * Dropped(mass);
  Write(head, token, static_cast<double>(kept), Dropped(mass), layer.rows);
}

void Capture::Observe(int layer, const topk::AttentionInput& input, const topk::SelectionView& selection,
                      std::span<const float> mass) {
  LayerCapture& of_layer = layers_.at(layer);
  if (input.n_batch != 1 || input.n_query != count_) {
    throw std::runtime_error("layer " + std::to_string(layer) + " has attention of " +
                             std::to_string(input.n_batch * input.n_query) + " queries where " +
                             std::to_string(count_) + " tokens are read: inspect cannot show it");
  }
  if (std::exchange(of_layer.is_seen, true)) {
    throw std::runtime_error("layer " + std::to_string(layer) +
                             " has the attention of several layers of this model: inspect cannot tell them apart");
  }
  if (of_layer.heads.empty()) {
    of_layer.heads.resize(static_cast<size_t>(input.n_head));
    of_layer.rows = NewRows(input.n_head + 1);
    of_layer.received.resize(static_cast<size_t>(n_token_));
  }
  for (int64_t query = 0; query < count_; ++query) {
    for (int64_t head = 0; head < input.n_head; ++head) {
      ObserveHead(of_layer, head, query, input, selection, mass[static_cast<size_t>(query * input.n_head + head)]);
    }
    Finish(mean_of_heads_, input.n_head, first_token_ + query, of_layer.rows,
           &mean_of_layers_[static_cast<size_t>(query)]);
  }
  ++n_layer_of_mean_;
}

}  // namespace qwen_infer::inspect
