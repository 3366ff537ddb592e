// The backward pass as its definition reads: every selected score of every row, in plain f64.
#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "topk/backward.h"
#include "topk/backward/arguments.h"
#include "topk/dropout/dropout.h"
#include "topk/numeric.h"

namespace topk {

namespace {

// A gradient in f64 [batch, token, head, d], until it is rounded once.
class Sum {
 public:
  Sum(int64_t n_batch, int64_t n_token, int64_t n_head, int64_t d)
      : n_batch_(n_batch),
        n_token_(n_token),
        n_head_(n_head),
        d_(d),
        numbers_(static_cast<size_t>(n_batch * n_token * n_head * d)) {}

  double* Row(int64_t batch, int64_t token, int64_t head) {
    return numbers_.data() + ((batch * n_token_ + token) * n_head_ + head) * d_;
  }
  void WriteTo(const OutputView& out) {
    if (out.data == nullptr) return;
    for (int64_t b = 0; b < n_batch_; ++b) {
      for (int64_t t = 0; t < n_token_; ++t) {
        for (int64_t h = 0; h < n_head_; ++h) {
          for (int64_t i = 0; i < d_; ++i) out.Row(b, t, h)[i] = static_cast<float>(Row(b, t, h)[i]);
        }
      }
    }
  }

 private:
  int64_t n_batch_, n_token_, n_head_, d_;
  std::vector<double> numbers_;
};

double Number(const TensorView& view, int64_t batch, int64_t token, int64_t head, int64_t i) {
  return static_cast<double>(ReadNumber(view.type, view.Row(batch, token, head), i));
}

double Dot(const TensorView& a, int64_t a_token, int64_t a_head, const TensorView& b, int64_t b_token, int64_t b_head,
           int64_t batch, int64_t d) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += Number(a, batch, a_token, a_head, i) * Number(b, batch, b_token, b_head, i);
  return sum;
}

class ReferenceBackward {
 public:
  ReferenceBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                    const TensorView& d_out)
      : in_(input),
        rule_(ScoreRule::Of(input, options)),
        selection_(selection),
        d_out_(d_out),
        d_q_(input.n_batch, input.n_query, input.n_head, input.d_k),
        d_k_(input.n_batch, input.n_key, input.n_head_kv, input.d_k),
        d_v_(input.n_batch, input.n_key, input.n_head_kv, input.d_v),
        d_scores_(selection.keys.size()) {}

  void AddRow(int64_t batch, int64_t query, int64_t head);
  void WriteTo(const AttentionGradients& gradients);

 private:
  const AttentionInput& in_;
  ScoreRule rule_;
  const SelectionView& selection_;
  const TensorView& d_out_;
  Sum d_q_, d_k_, d_v_;
  std::vector<float> d_scores_;
  double d_scale_ = 0;
};

void ReferenceBackward::AddRow(int64_t batch, int64_t query, int64_t head) {
  const int64_t row = (batch * in_.n_query + query) * in_.n_head + head;
  const int64_t head_kv = head / (in_.n_head / in_.n_head_kv);
  const DropoutRow dropout = DropoutRow::Of(in_, row);
  const int64_t begin = selection_.row_offsets[row];
  const std::span<const KeyIndex> keys = KeysOfRow(selection_, row);
  std::vector<double> g;
  double mean = 0;
  for (size_t j = 0; j < keys.size(); ++j) {
    const double factor = DropoutFactor(dropout, keys[j]);
    g.push_back(factor == 0 ? 0 : factor * Dot(d_out_, query, head, in_.v, keys[j], head_kv, batch, in_.d_v));
    mean += static_cast<double>(selection_.weights[begin + j]) * g[j];
  }
  for (size_t j = 0; j < keys.size(); ++j) {
    const KeyIndex key = keys[j];
    const double weight = selection_.weights[begin + j];
    const double passed = weight > 0 ? g[j] : 0;
    const double d_score = in_.activation == Activation::kSoftmax ? weight * (g[j] - mean) : passed;
    const double dot = Dot(in_.q, query, head, in_.k, key, head_kv, batch, in_.d_k);
    const double tanh = rule_.softcap != 0 ? std::tanh(rule_.scale * dot / rule_.softcap) : 0;
    const double d_x = d_score * (1 - tanh * tanh);
    d_scores_[begin + j] = static_cast<float>(d_score);
    d_scale_ += d_x * dot;
    for (int64_t i = 0; i < in_.d_k; ++i) {
      d_q_.Row(batch, query, head)[i] += rule_.scale * d_x * Number(in_.k, batch, key, head_kv, i);
      d_k_.Row(batch, key, head_kv)[i] += rule_.scale * d_x * Number(in_.q, batch, query, head, i);
    }
    const double factor = DropoutFactor(dropout, key);
    const double dropped = factor == 0 ? 0 : factor * weight;
    for (int64_t i = 0; i < in_.d_v; ++i) {
      d_v_.Row(batch, key, head_kv)[i] += dropped * Number(d_out_, batch, query, head, i);
    }
  }
}

void ReferenceBackward::WriteTo(const AttentionGradients& gradients) {
  d_q_.WriteTo(gradients.d_q);
  d_k_.WriteTo(gradients.d_k);
  d_v_.WriteTo(gradients.d_v);
  if (gradients.d_scores != nullptr) std::copy(d_scores_.begin(), d_scores_.end(), gradients.d_scores);
  if (gradients.d_scale != nullptr) *gradients.d_scale = d_scale_;
}

}  // namespace

Status ReferenceAttentionBackward(const AttentionInput& input, const TopKOptions& options,
                                  const SelectionView& selection, const TensorView& d_out,
                                  const AttentionGradients& gradients) {
  if (Status s = ValidateBackward(input, options, selection, d_out, gradients); !s.ok()) return s;
  const auto rows = static_cast<int64_t>(selection.row_offsets.size()) - 1;
  for (int64_t r = 0; r < rows; ++r) {
    if (!AreKeysValid(KeysOfRow(selection, r), input.n_key)) return InvalidKeys(selection, r, input.n_key);
  }
  try {
    ReferenceBackward backward(input, options, selection, d_out);
    for (int64_t batch = 0; batch < input.n_batch; ++batch) {
      for (int64_t query = 0; query < input.n_query; ++query) {
        for (int64_t head = 0; head < input.n_head; ++head) backward.AddRow(batch, query, head);
      }
    }
    backward.WriteTo(gradients);
    return {};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "out of memory in the reference of the backward pass"};
  }
}

}  // namespace topk
