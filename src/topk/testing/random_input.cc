#include "topk/testing/random_input.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

namespace topk::testing {

namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

const char* TypeName(DataType type) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "q8_0"};
  return kNames[static_cast<int>(type)];
}

template <typename T>
void WriteAs(uint8_t* bytes, T value) {
  std::memcpy(bytes, &value, sizeof value);
}

}  // namespace

uint16_t F32ToF16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const float magnitude = std::abs(x);
  if (std::isnan(x)) return sign | 0x7E00;
  if (magnitude >= 65520.0F) return sign | 0x7C00;
  if (magnitude < 0x1p-14F) return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24F));
  const uint32_t absolute = bits & 0x7FFFFFFFU;
  const uint32_t rounded = absolute + 0xFFFU + ((absolute >> 13) & 1U);
  return sign | static_cast<uint16_t>((rounded >> 13) - (112U << 10));
}

uint16_t F32ToBF16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

std::string Shape::Name() const {
  constexpr const char* kMasks[] = {"none", "causal", "random", "alibi", "hidden", "sequences", "sparse"};
  std::ostringstream name;
  name << "b" << n_batch << " q" << n_query << " n" << n_key << " h" << n_head << "/" << n_head_kv << " d" << d_k << "/"
       << d_v << " " << TypeName(k_type) << "/" << TypeName(v_type) << " mask " << kMasks[static_cast<int>(mask)] << " "
       << TypeName(mask_type) << " cap " << softcap << (sink_logits ? " sink" : "");
  return name.str();
}

RandomTensor::RandomTensor(DataType type, int64_t n_batch, int64_t n_token, int64_t n_head, int64_t d, int64_t padding)
    : type_(type), n_batch_(n_batch), n_token_(n_token), n_head_(n_head), d_(d) {
  const int64_t row = RowBytes(type, d + padding * (type == DataType::kQ8_0 ? kQ8BlockSize : 1));
  view_ = {nullptr, type, row * n_head, row, row * n_head * n_token};
  bytes_.resize(static_cast<size_t>(view_.batch_stride * n_batch));
  view_.data = bytes_.data();
}

uint8_t* RandomTensor::Row(int64_t batch, int64_t token, int64_t head) {
  return const_cast<uint8_t*>(view_.Row(batch, token, head));
}

void RandomTensor::FillGaussian(std::mt19937& random, float deviation) {
  std::normal_distribution<float> gaussian(0.0F, deviation);
  for (int64_t b = 0; b < n_batch_; ++b) {
    for (int64_t t = 0; t < n_token_; ++t) {
      for (int64_t h = 0; h < n_head_; ++h) {
        for (int64_t i = 0; i < d_; ++i) {
          if (type_ == DataType::kQ8_0 && i % kQ8BlockSize == 0) {
            WriteAs(Row(b, t, h) + i / kQ8BlockSize * kQ8BlockBytes, F32ToF16(4.0F * deviation / 127.0F));
          }
          Set(b, t, h, i, gaussian(random));
        }
      }
    }
  }
}

void RandomTensor::FillTwoClusters(std::mt19937& random, float distance) {
  std::normal_distribution<float> gaussian;
  std::bernoulli_distribution coin;
  std::vector<float> centre(static_cast<size_t>(d_));
  for (float& x : centre) x = distance * gaussian(random);
  for (int64_t b = 0; b < n_batch_; ++b) {
    for (int64_t t = 0; t < n_token_; ++t) {
      for (int64_t h = 0; h < n_head_; ++h) {
        const float side = coin(random) ? 1.0F : -1.0F;
        for (int64_t i = 0; i < d_; ++i) Set(b, t, h, i, side * centre[i] + gaussian(random));
      }
    }
  }
}

void RandomTensor::Set(int64_t batch, int64_t token, int64_t head, int64_t i, float x) {
  uint8_t* row = Row(batch, token, head);
  switch (type_) {
    case DataType::kF32: return WriteAs(row + 4 * i, x);
    case DataType::kF16: return WriteAs(row + 2 * i, F32ToF16(x));
    case DataType::kBF16: return WriteAs(row + 2 * i, F32ToBF16(x));
    case DataType::kQ8_0: {
      uint8_t* block = row + i / kQ8BlockSize * kQ8BlockBytes;
      uint16_t scale = 0;
      std::memcpy(&scale, block, sizeof scale);
      // The scale is a normal f16 here.
      const float step = std::ldexp(1.0F + static_cast<float>(scale & 0x3FFU) / 1024.0F, ((scale >> 10) & 31) - 15);
      WriteAs(block + 2 + i % kQ8BlockSize,
              static_cast<int8_t>(std::fmin(127.0F, std::fmax(-127.0F, std::nearbyint(x / step)))));
      return;
    }
  }
}

RandomProblem::RandomProblem(const Shape& shape, uint32_t seed)
    : q(DataType::kF32, shape.n_batch, shape.n_query, shape.n_head, shape.d_k, shape.padding),
      k(shape.k_type, shape.n_batch, shape.n_key, shape.n_head_kv, shape.d_k, shape.padding),
      v(shape.v_type, shape.n_batch, shape.n_key, shape.n_head_kv, shape.d_v, shape.padding) {
  std::mt19937 random(seed);
  q.FillGaussian(random);
  k.FillGaussian(random);
  v.FillGaussian(random);
  input = {.n_batch = shape.n_batch,
           .n_query = shape.n_query,
           .n_key = shape.n_key,
           .n_head = shape.n_head,
           .n_head_kv = shape.n_head_kv,
           .d_k = shape.d_k,
           .d_v = shape.d_v,
           .q = q.view(),
           .k = k.view(),
           .v = v.view(),
           .mask = {},
           .causal = shape.mask == Shape::Mask::kCausal,
           .scale = 1.0F / std::sqrt(static_cast<float>(shape.d_k)),
           .softcap = shape.softcap,
           .alibi_max_bias = shape.mask == Shape::Mask::kAlibi ? 8.0F : 0.0F};
  if (shape.mask != Shape::Mask::kNone && shape.mask != Shape::Mask::kCausal) {
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    for (int64_t query = 0; query < shape.n_query; ++query) {
      for (int64_t key = 0; key < shape.n_key; ++key) {
        float bias = uniform(random) < 0.3F ? kHidden : 0.0F;
        if (shape.mask == Shape::Mask::kAlibi) bias = key > query + shape.n_key / 2 ? kHidden : -0.01F * key;
        if (shape.mask == Shape::Mask::kAllHidden) bias = kHidden;
        if (shape.mask == Shape::Mask::kSequences) bias = (key / 50 + query) % 3 == 0 ? 0.0F : kHidden;
        if (shape.mask == Shape::Mask::kSparse) bias = random() % 20 == 0 ? -0.25F * (key % 5) : kHidden;
        mask_f32.push_back(bias);
        mask_f16.push_back(F32ToF16(bias));
      }
    }
    const bool is_f16 = shape.mask_type == DataType::kF16;
    input.mask.data = is_f16 ? static_cast<const void*>(mask_f16.data()) : mask_f32.data();
    input.mask.type = shape.mask_type;
    input.mask.query_stride = shape.n_key * (is_f16 ? 2 : 4);
  }
  if (shape.sink_logits) {
    for (int64_t h = 0; h < shape.n_head; ++h) sink_logits.push_back(static_cast<float>(h) - 1.0F);
    input.sink_logits = sink_logits.data();
  }
}

OutputTensor::OutputTensor(const AttentionInput& input)
    : numbers(static_cast<size_t>(input.n_batch * input.n_query * input.n_head * input.d_v), -77.0F), input_(input) {}

OutputView OutputTensor::view() {
  const int64_t row = 4 * input_.d_v;
  return {numbers.data(), row * input_.n_head, row, row * input_.n_head * input_.n_query};
}

}  // namespace topk::testing
