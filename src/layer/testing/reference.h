// The whole layer as its definition reads, forward and backward, in plain loops over a number type: double for results
// and finite differences, Bounded for how far f32 may be from them.
#ifndef TOPK_SRC_LAYER_TESTING_REFERENCE_H_
#define TOPK_SRC_LAYER_TESTING_REFERENCE_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "layer/testing/bounded.h"
#include "topk/layer.h"

namespace topk::testing {

using Numbers = std::vector<double>;

// Everything that the loops read. Selections are given: they are compared on their own, by the scores.
struct ReferenceInput {
  TopKAttentionShape shape;
  double temperature = 1;
  int64_t batch = 1;
  int64_t n_query = 0;
  int64_t n_key = 0;
  std::array<Numbers, 3> inputs;   // query, key, value
  std::array<Numbers, 3> weights;  // of q, k, v
  Numbers in_bias;                 // may be empty, as the next but one
  Numbers out_weight;
  Numbers out_bias;
  Numbers mask;  // [batch, num_heads, n_query, n_key]; -inf hides
  Selection selection;
  Numbers dropout;  // a factor for each entry of the selection
  Numbers grad_output;
};

template <typename T>
struct ReferenceOutput {
  std::vector<T> scores;  // [batch, n_query, num_heads, n_key]
  std::vector<T> output;
  std::array<std::vector<T>, 3> grad_inputs;
  std::array<std::vector<T>, 3> grad_weights;
  std::vector<T> grad_in_bias;
  std::vector<T> grad_out_weight;
  std::vector<T> grad_out_bias;
};

// y = x weight^T + bias, x [rows, n_in]; bias may be null.
template <typename T, typename X>
std::vector<T> ReferenceProject(const std::vector<X>& x, const Numbers& weight, const double* bias, int64_t n_in,
                                int64_t n_out) {
  const auto rows = static_cast<int64_t>(x.size()) / n_in;
  std::vector<T> y;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < n_out; ++o) {
      Sum<T> sum;
      for (int64_t i = 0; i < n_in; ++i) sum.Add(T(x[r * n_in + i]), T(weight[o * n_in + i]));
      if (bias != nullptr) sum.Add(T(bias[o]), T(1.0));
      y.push_back(sum.Result());
    }
  }
  return y;
}

// grad_x = grad_y weight.
template <typename T, typename Y>
std::vector<T> ReferenceInputGradient(const std::vector<Y>& grad_y, const Numbers& weight, int64_t n_in,
                                      int64_t n_out) {
  const auto rows = static_cast<int64_t>(grad_y.size()) / n_out;
  std::vector<T> grad_x;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n_in; ++i) {
      Sum<T> sum;
      for (int64_t o = 0; o < n_out; ++o) sum.Add(T(grad_y[r * n_out + o]), T(weight[o * n_in + i]));
      grad_x.push_back(sum.Result());
    }
  }
  return grad_x;
}

// grad_weight = grad_y^T x; with x a column of ones and n_in = 1, the gradient of the bias.
template <typename T, typename Y, typename X>
std::vector<T> ReferenceWeightGradient(const std::vector<Y>& grad_y, const std::vector<X>& x, int64_t n_in,
                                       int64_t n_out) {
  const auto rows = static_cast<int64_t>(grad_y.size()) / n_out;
  std::vector<T> grad_weight;
  for (int64_t o = 0; o < n_out; ++o) {
    for (int64_t i = 0; i < n_in; ++i) {
      Sum<T> sum;
      for (int64_t r = 0; r < rows; ++r) sum.Add(T(grad_y[r * n_out + o]), T(x[r * n_in + i]));
      grad_weight.push_back(sum.Result());
    }
  }
  return grad_weight;
}

template <typename T, typename Y>
std::vector<T> ReferenceBiasGradient(const std::vector<Y>& grad_y, int64_t n_out) {
  return ReferenceWeightGradient<T>(grad_y, Numbers(grad_y.size() / static_cast<size_t>(n_out), 1.0), 1, n_out);
}

// Elementwise sum.
template <typename T>
std::vector<T> ReferenceAdd(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> out;
  for (size_t i = 0; i < a.size(); ++i) {
    Sum<T> sum;
    sum.Add(a[i], T(1.0));
    sum.Add(b[i], T(1.0));
    out.push_back(sum.Result());
  }
  return out;
}

template <typename T>
std::vector<T> ResultsOf(const std::vector<Sum<T>>& sums) {
  std::vector<T> out;
  for (const Sum<T>& sum : sums) out.push_back(sum.Result());
  return out;
}

template <typename T>
ReferenceOutput<T> ComputeReference(const ReferenceInput& in) {
  const int64_t e = in.shape.embed_dim;
  const int64_t kv = in.shape.KvDim();
  const int64_t d = in.shape.HeadDim();
  const int64_t n_head = in.shape.num_heads;
  const int64_t group = n_head / in.shape.KvHeads();
  const std::array<int64_t, 3> n_in = {e, in.shape.KeyDim(), in.shape.ValueDim()};
  const std::array<int64_t, 3> n_out = {e, kv, kv};
  const std::array<int64_t, 3> first_bias = {0, e, e + kv};
  ReferenceOutput<T> out;

  std::array<std::vector<T>, 3> projected;
  for (int p = 0; p < 3; ++p) {
    const double* bias = in.in_bias.empty() ? nullptr : in.in_bias.data() + first_bias[p];
    projected[p] = ReferenceProject<T>(in.inputs[p], in.weights[p], bias, n_in[p], n_out[p]);
  }
  const auto& [q, k, v] = projected;
  // Division, unlike what is exact, counts as rounded.
  const T scale = T(1 / std::sqrt(static_cast<double>(d))) / T(in.temperature);

  const std::vector<T> grad_attention = ReferenceInputGradient<T>(in.grad_output, in.out_weight, e, e);
  std::vector<T> attention(q.size());
  std::array<std::vector<Sum<T>>, 3> grad_sums = {std::vector<Sum<T>>(q.size()), std::vector<Sum<T>>(k.size()),
                                                  std::vector<Sum<T>>(v.size())};
  int64_t row = 0;
  for (int64_t b = 0; b < in.batch; ++b) {
    for (int64_t query = 0; query < in.n_query; ++query) {
      for (int64_t head = 0; head < n_head; ++head, ++row) {
        const int64_t at_q = (b * in.n_query + query) * e + head * d;
        const auto at_k = [&](int64_t key) { return (b * in.n_key + key) * kv + head / group * d; };
        std::vector<T> scores;
        for (int64_t key = 0; key < in.n_key; ++key) {
          const double mask = in.mask[((b * n_head + head) * in.n_query + query) * in.n_key + key];
          if (std::isinf(mask)) {
            scores.push_back(T(mask));
            continue;
          }
          Sum<T> dot;
          for (int64_t i = 0; i < d; ++i) dot.Add(q[at_q + i], k[at_k(key) + i]);
          Sum<T> score;
          score.Add(dot.Result(), scale);
          score.Add(T(mask), T(1.0));
          scores.push_back(score.Result());
        }
        out.scores.insert(out.scores.end(), scores.begin(), scores.end());

        const int64_t first = in.selection.row_offsets[row];
        const int64_t last = in.selection.row_offsets[row + 1];
        double largest = -std::numeric_limits<double>::infinity();
        for (int64_t s = first; s < last; ++s) largest = std::max(largest, Value(scores[in.selection.keys[s]]));
        std::vector<T> exponentials;
        Sum<T> denominator;
        for (int64_t s = first; s < last; ++s) {
          exponentials.push_back(Exp(scores[in.selection.keys[s]] - T(largest)));
          denominator.Add(exponentials.back(), T(1.0));
        }
        std::vector<T> weights;
        std::vector<T> grad_weights;  // of the loss by each weight
        Sum<T> mean_gradient;
        for (int64_t s = first; s < last; ++s) {
          const int64_t at = at_k(in.selection.keys[s]);
          weights.push_back(exponentials[s - first] / denominator.Result());
          Sum<T> dot;
          for (int64_t i = 0; i < d; ++i) dot.Add(grad_attention[at_q + i], v[at + i]);
          grad_weights.push_back(T(in.dropout[s]) * dot.Result());
          mean_gradient.Add(weights.back(), grad_weights.back());
        }
        for (int64_t i = 0; i < d; ++i) {
          Sum<T> sum;
          for (int64_t s = first; s < last; ++s) {
            sum.Add(T(in.dropout[s]) * weights[s - first], v[at_k(in.selection.keys[s]) + i]);
          }
          attention[at_q + i] = sum.Result();
        }
        for (int64_t s = first; s < last; ++s) {
          const int64_t at = at_k(in.selection.keys[s]);
          const T weight = weights[s - first];
          const T grad_score = weight * (grad_weights[s - first] - mean_gradient.Result());
          for (int64_t i = 0; i < d; ++i) {
            grad_sums[0][at_q + i].Add(scale * grad_score, k[at + i]);
            grad_sums[1][at + i].Add(scale * grad_score, q[at_q + i]);
            grad_sums[2][at + i].Add(T(in.dropout[s]) * weight, grad_attention[at_q + i]);
          }
        }
      }
    }
  }

  out.output = ReferenceProject<T>(attention, in.out_weight, in.out_bias.empty() ? nullptr : in.out_bias.data(), e, e);
  out.grad_out_weight = ReferenceWeightGradient<T>(in.grad_output, attention, e, e);
  out.grad_out_bias = ReferenceBiasGradient<T>(in.grad_output, e);
  for (int p = 0; p < 3; ++p) {
    const std::vector<T> gradient = ResultsOf(grad_sums[p]);
    out.grad_inputs[p] = ReferenceInputGradient<T>(gradient, in.weights[p], n_in[p], n_out[p]);
    out.grad_weights[p] = ReferenceWeightGradient<T>(gradient, in.inputs[p], n_in[p], n_out[p]);
    const std::vector<T> grad_bias = ReferenceBiasGradient<T>(gradient, n_out[p]);
    out.grad_in_bias.insert(out.grad_in_bias.end(), grad_bias.begin(), grad_bias.end());
  }
  return out;
}

}  // namespace topk::testing

#endif  // TOPK_SRC_LAYER_TESTING_REFERENCE_H_
