#include "attention/problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "attention/inputs.h"
#include "shared/interrupted.h"

namespace qwen_infer::attention_bench {

namespace {

void StopIf(const std::atomic<bool>& stop) {
  if (stop) throw Interrupted();
}

void FillGaussian(ggml_tensor& tensor, std::mt19937& random, const std::atomic<bool>& stop) {
  std::normal_distribution<float> gaussian;
  std::vector<float> numbers(static_cast<size_t>(tensor.ne[0] * tensor.ne[1]));
  for (int64_t token = 0; token < tensor.ne[2]; ++token) {
    StopIf(stop);
    std::generate(numbers.begin(), numbers.end(), [&] { return gaussian(random); });
    ggml_quantize_chunk(tensor.type, numbers.data(),
                        static_cast<uint8_t*>(tensor.data) + token * static_cast<int64_t>(tensor.nb[2]), 0,
                        tensor.ne[1], tensor.ne[0], nullptr);
  }
}

// Tokens from `first` on of a recorded tensor.
void FillRecorded(ggml_tensor& tensor, const topk::TensorView& recorded, int64_t first) {
  auto* to = static_cast<uint8_t*>(tensor.data);
  for (int64_t token = 0; token < tensor.ne[2]; ++token) {
    for (int64_t head = 0; head < tensor.ne[1]; ++head, to += tensor.nb[1]) {
      std::memcpy(to, recorded.Row(0, first + token, head), tensor.nb[1]);
    }
  }
}

template <typename Number>
void Transpose(const ggml_tensor& v, ggml_tensor& v_transposed) {
  const auto* from = static_cast<const Number*>(v.data);
  auto* to = static_cast<Number*>(v_transposed.data);
  const int64_t n_numbers = v.ne[0] * v.ne[1];
  for (int64_t token = 0; token < v.ne[2]; ++token) {
    for (int64_t i = 0; i < n_numbers; ++i) to[i * v.ne[2] + token] = from[token * n_numbers + i];
  }
}

// One key of each of `count` equal parts of [0, n_key), at random.
std::vector<int64_t> Scatter(int64_t count, int64_t n_key, std::mt19937& random) {
  std::vector<int64_t> keys;
  for (int64_t part = 0; part < count; ++part) {
    const int64_t begin = part * n_key / count;
    const int64_t end = (part + 1) * n_key / count;
    keys.push_back(begin + static_cast<int64_t>(random() % static_cast<uint64_t>(end - begin)));
  }
  return keys;
}

void CopyNumbers(const ggml_tensor* from, ggml_tensor* to) {
  if (from != nullptr) std::memcpy(to->data, from->data, ggml_nbytes(from));
}

}  // namespace

Problem::Problem(Case shape, int64_t cold_bytes, const std::atomic<bool>& stop) : the_case(std::move(shape)) {
  const auto [n_head, n_head_kv, d] = the_case.heads;
  const int64_t key_bytes = the_case.KeyBytes();
  constexpr int64_t kMostCopies = 65536;  // ggml keeps some hundred bytes for each
  const int64_t wanted = the_case.IsDecode() ? (cold_bytes + key_bytes - 1) / key_bytes : 1;
  const int64_t copies = std::clamp<int64_t>(wanted, 1, kMostCopies);
  const int64_t n_tensors = 3 + 3 * copies;
  context_.reset(ggml_init({ggml_tensor_overhead() * static_cast<size_t>(n_tensors), nullptr, true}));
  const bool can_transpose = !ggml_is_quantized(the_case.type);
  q = ggml_new_tensor_3d(context_.get(), GGML_TYPE_F32, d, n_head, the_case.n_query);
  mask_f16 = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F16, the_case.n_key, the_case.n_query);
  if (can_transpose) mask_f32 = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, the_case.n_key, the_case.n_query);
  for (int64_t c = 0; c < copies; ++c) {
    Cache& cache = caches.emplace_back();
    cache.k = ggml_new_tensor_3d(context_.get(), the_case.type, d, n_head_kv, the_case.n_key);
    cache.v = ggml_new_tensor_3d(context_.get(), the_case.type, d, n_head_kv, the_case.n_key);
    if (can_transpose)
      cache.v_transposed = ggml_new_tensor_3d(context_.get(), the_case.type, the_case.n_key, d, n_head_kv);
  }
  buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), ggml_backend_cpu_buffer_type()));
  if (buffer_ == nullptr) {
    const int64_t bytes = (can_transpose ? 3 : 2) * copies * key_bytes;
    throw std::runtime_error("no memory for " + std::to_string(copies) + " x " + std::to_string(bytes / copies) +
                             " bytes of K and V: fewer --keys, or less --cold_bytes");
  }

  FillTensors(stop);
  const Cache& first = caches.front();
  if (can_transpose && ggml_type_size(the_case.type) == sizeof(float)) Transpose<float>(*first.v, *first.v_transposed);
  if (can_transpose && ggml_type_size(the_case.type) == sizeof(ggml_fp16_t)) {
    Transpose<ggml_fp16_t>(*first.v, *first.v_transposed);
  }
  for (size_t c = 1; c < caches.size(); ++c) {
    StopIf(stop);
    CopyNumbers(first.k, caches[c].k);
    CopyNumbers(first.v, caches[c].v);
    CopyNumbers(first.v_transposed, caches[c].v_transposed);
  }
  FillMasks();
}

void Problem::FillTensors(const std::atomic<bool>& stop) {
  const Cache& cache = caches.front();
  if (the_case.inputs != nullptr) {
    const topk::AttentionInput& recorded = the_case.inputs->recording.input;
    FillRecorded(*q, recorded.q, recorded.n_query - the_case.n_query);
    FillRecorded(*cache.k, recorded.k, 0);
    FillRecorded(*cache.v, recorded.v, 0);
    return;
  }
  std::mt19937 random(1);
  for (ggml_tensor* tensor : {q, cache.k, cache.v}) FillGaussian(*tensor, random, stop);
}

void Problem::FillMasks() {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  const auto f16 = [](float x) { return ggml_fp32_to_fp16(x); };
  std::mt19937 random(2);
  for (int64_t i = 0; i < the_case.n_query; ++i) {
    const int64_t n_seen = the_case.n_key - the_case.n_query + i + 1;
    const std::vector<int64_t> scattered = Scatter(the_case.n_visible, n_seen, random);
    const auto fill = [&](auto* row, auto shown, auto hidden) {
      std::fill(row, row + the_case.n_key, hidden);
      if (the_case.n_visible == 0) std::fill_n(row, n_seen, shown);
      for (const int64_t key : scattered) row[key] = shown;
    };
    fill(static_cast<ggml_fp16_t*>(mask_f16->data) + i * the_case.n_key, f16(0.0F), f16(kHidden));
    if (mask_f32 != nullptr) fill(static_cast<float*>(mask_f32->data) + i * the_case.n_key, 0.0F, kHidden);
  }
}

}  // namespace qwen_infer::attention_bench
