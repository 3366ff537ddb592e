#include "layer/parameters.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <utility>

#include "layer/json.h"
#include "topk/safetensors.h"

namespace topk {

namespace {

using Shape = TopKAttentionShape;
using Parameters = TopKAttentionParameters;

constexpr char kPackedWeight[] = "in_proj_weight";

// Whether MultiheadAttention keeps the input weights of such a layer in one matrix.
bool IsPacked(const Shape& shape) {
  return shape.KeyDim() == shape.embed_dim && shape.ValueDim() == shape.embed_dim && shape.KvHeads() == shape.num_heads;
}

std::vector<int64_t> PackedShape(const Shape& shape) { return {shape.embed_dim + 2 * shape.KvDim(), shape.embed_dim}; }

// In [-bound, bound). std::uniform_real_distribution gives other numbers with other standard libraries.
void FillUniform(std::mt19937_64& random, double bound, std::vector<float>& numbers) {
  for (float& x : numbers) x = static_cast<float>(bound * (static_cast<double>(random() >> 11) * 0x1p-52 - 1));
}

// The rows of a packed matrix, to its parts.
Status ReadPacked(SafetensorsFile& file, const Shape& shape, const std::string& name, Parameters& parameters) {
  std::vector<float> packed;
  if (Status status = file.Read(name, PackedShape(shape), packed); !status.ok()) return status;
  auto part = packed.begin();
  for (auto member : {&Parameters::q_weight, &Parameters::k_weight, &Parameters::v_weight}) {
    std::vector<float>& weight = parameters.*member;
    std::copy_n(part, weight.size(), weight.begin());
    part += static_cast<int64_t>(weight.size());
  }
  return {};
}

bool IsInputWeight(const ParameterInfo& info) {
  return info.member == &Parameters::q_weight || info.member == &Parameters::k_weight ||
         info.member == &Parameters::v_weight;
}

// What a file has and this layer could not use without computing something else than its author meant.
Status CheckNothingElse(const SafetensorsFile& file, const Shape& shape, const std::string& prefix,
                        const std::string& path) {
  for (const char* name : {"bias_k", "bias_v"}) {
    if (file.Has(prefix + name)) {
      return InvalidArgument("cannot use " + path + ": it has " + Quoted(prefix + name) +
                             ", and extra keys (MultiheadAttention's add_bias_kv) are not supported");
    }
  }
  for (const char* name : {"in_proj_bias", "out_proj.bias"}) {
    if (!shape.bias && file.Has(prefix + name)) {
      return InvalidArgument("cannot use " + path + ": it has " + Quoted(prefix + name) +
                             ", but the layer is without bias");
    }
  }
  return {};
}

}  // namespace

int64_t ParameterInfo::Size() const {
  if (shape.empty()) return 0;
  int64_t size = 1;
  for (const int64_t n : shape) size *= n;
  return size;
}

std::array<ParameterInfo, 6> ParameterInfos(const Shape& shape) {
  const int64_t e = shape.embed_dim;
  const int64_t kv = shape.KvDim();
  const auto bias = [&](int64_t size) { return shape.bias ? std::vector<int64_t>{size} : std::vector<int64_t>{}; };
  return {{{"q_proj_weight", &Parameters::q_weight, {e, e}},
           {"k_proj_weight", &Parameters::k_weight, {kv, shape.KeyDim()}},
           {"v_proj_weight", &Parameters::v_weight, {kv, shape.ValueDim()}},
           {"in_proj_bias", &Parameters::in_bias, bias(e + 2 * kv)},
           {"out_proj.weight", &Parameters::out_weight, {e, e}},
           {"out_proj.bias", &Parameters::out_bias, bias(e)}}};
}

void ZeroParameters(const Shape& shape, Parameters& parameters) {
  for (const ParameterInfo& info : ParameterInfos(shape)) {
    (parameters.*info.member).assign(static_cast<size_t>(info.Size()), 0.0F);
  }
}

Status CheckParameters(const Shape& shape, const Parameters& parameters) {
  for (const ParameterInfo& info : ParameterInfos(shape)) {
    const size_t size = (parameters.*info.member).size();
    if (size == static_cast<size_t>(info.Size())) continue;
    return InvalidArgument("the parameter " + std::string(info.name) + " has " + std::to_string(size) +
                           " numbers; the layer needs " + std::to_string(info.Size()));
  }
  return {};
}

void InitializeParameters(const Shape& shape, uint64_t seed, Parameters& parameters) {
  std::mt19937_64 random(seed);
  for (const ParameterInfo& info : ParameterInfos(shape)) {
    std::vector<float>& numbers = parameters.*info.member;
    if (IsInputWeight(info)) {
      const std::vector<int64_t> matrix = IsPacked(shape) ? PackedShape(shape) : info.shape;
      FillUniform(random, std::sqrt(6.0 / static_cast<double>(matrix[0] + matrix[1])), numbers);
    } else if (info.member == &Parameters::out_weight) {
      FillUniform(random, 1.0 / std::sqrt(static_cast<double>(shape.embed_dim)), numbers);
    } else {
      std::fill(numbers.begin(), numbers.end(), 0.0F);
    }
  }
}

Status LoadParameters(const Shape& shape, const std::string& path, std::string_view prefix, Parameters& parameters) {
  SafetensorsFile file;
  if (Status status = SafetensorsFile::Open(path, file); !status.ok()) return status;
  const std::string before(prefix);
  if (Status status = CheckNothingElse(file, shape, before, path); !status.ok()) return status;
  const std::string packed_name = before + kPackedWeight;
  const bool packed = file.Has(packed_name);
  if (packed && file.Has(before + "q_proj_weight")) {
    return InvalidArgument("cannot use " + path + ": it has both " + Quoted(packed_name) + " and " +
                           Quoted(before + "q_proj_weight"));
  }
  if (!packed && !file.Has(before + "q_proj_weight")) {
    std::string first;
    if (!file.entries().empty()) first = "; its first tensor is " + Quoted(file.entries().begin()->first);
    return InvalidArgument("cannot use " + path + ": it has neither " + Quoted(packed_name) + " nor " +
                           Quoted(before + "q_proj_weight") + first + " (is the prefix right?)");
  }
  Parameters read;
  ZeroParameters(shape, read);
  if (packed) {
    if (Status status = ReadPacked(file, shape, packed_name, read); !status.ok()) return status;
  }
  for (const ParameterInfo& info : ParameterInfos(shape)) {
    if (info.shape.empty() || (packed && IsInputWeight(info))) continue;
    if (Status status = file.Read(before + info.name, info.shape, read.*info.member); !status.ok()) return status;
  }
  parameters = std::move(read);
  return {};
}

Status SaveParameters(const Shape& shape, const Parameters& parameters, const std::string& path,
                      std::string_view prefix) {
  const std::string before(prefix);
  std::vector<NamedTensor> tensors;
  std::vector<float> packed;
  if (IsPacked(shape)) {
    for (const auto* weight : {&parameters.q_weight, &parameters.k_weight, &parameters.v_weight}) {
      packed.insert(packed.end(), weight->begin(), weight->end());
    }
    tensors.push_back({before + kPackedWeight, PackedShape(shape), packed});
  }
  for (const ParameterInfo& info : ParameterInfos(shape)) {
    if (info.shape.empty() || (IsPacked(shape) && IsInputWeight(info))) continue;
    tensors.push_back({before + info.name, info.shape, parameters.*info.member});
  }
  return WriteSafetensors(path, tensors);
}

}  // namespace topk
