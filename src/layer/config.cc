// The fields of the configuration and of the layer's shape: names, ranges, JSON.
#include <array>

#include "layer/fields.h"
#include "topk/layer.h"

namespace topk {

namespace {

constexpr double kMaxCount = 1 << 30;     // as in TopKOptions
constexpr double kMaxFeatures = 1 << 24;  // products of two stay far from 2^63

constexpr double kBelowOne = 1 - 0x1p-24;  // the largest in f32

using Config = TopKAttentionConfig;
constexpr std::array<Field<Config>, 5> kConfigFields = {{
    {"k", &Config::k, "an integer from 1 to 1073741824, or \"auto\"", 1, kMaxCount, "auto", Config::kAuto},
    {"temperature", &Config::temperature, "a number from 0.001 to 1000", 0.001, 1000},
    {"use_sparse", &Config::use_sparse, "true or false"},
    {"fallback_full_attention", &Config::fallback_full_attention, "true or false"},
    {"enable_memory_tracking", &Config::enable_memory_tracking, "true or false"},
}};

using Shape = TopKAttentionShape;
constexpr std::array<Field<Shape>, 12> kShapeFields = {{
    {"embed_dim", &Shape::embed_dim, "an integer from 1 to 16777216", 1, kMaxFeatures},
    {"num_heads", &Shape::num_heads, "an integer from 1 to 16777216", 1, kMaxFeatures},
    {"num_kv_heads", &Shape::num_kv_heads, "an integer from 0 (num_heads) to 16777216", 0, kMaxFeatures},
    {"kdim", &Shape::kdim, "an integer from 0 (embed_dim) to 16777216", 0, kMaxFeatures},
    {"vdim", &Shape::vdim, "an integer from 0 (embed_dim) to 16777216", 0, kMaxFeatures},
    {"bias", &Shape::bias, "true or false"},
    {"dropout", &Shape::dropout, "a number from 0 to below 1", 0, kBelowOne},
    {"causal", &Shape::causal, "true or false"},
    {"sinks", &Shape::sinks, "an integer from 0 to 1073741824", 0, kMaxCount},
    {"window", &Shape::window, "an integer from 0 to 1073741824", 0, kMaxCount},
    {"min_mass", &Shape::min_mass, "a number from 0 to 1", 0, 1},
    {"exact_mass", &Shape::exact_mass, "true or false"},
}};

std::string Equals(std::string_view name, int64_t value) { return std::string(name) + "=" + std::to_string(value); }

}  // namespace

int64_t TopKAttentionConfig::BudgetFor(int64_t n_visible) const { return k == kAuto ? AutoBudget(n_visible) : k; }

Status TopKAttentionConfig::Validate() const { return ValidateFields<Config>(*this, kConfigFields); }

std::string TopKAttentionConfig::ToJson() const { return FieldsToJson<Config>(*this, kConfigFields); }

Status TopKAttentionConfig::FromJson(std::string_view text, TopKAttentionConfig& config) {
  return StructFromJson<Config>(text, kConfigFields, config);
}

Status TopKAttentionShape::Validate() const {
  if (Status status = ValidateFields<Shape>(*this, kShapeFields); !status.ok()) return status;
  if (embed_dim % num_heads != 0) {
    return InvalidArgument(Equals("embed_dim", embed_dim) + " is not a multiple of " + Equals("num_heads", num_heads));
  }
  if (HeadDim() > kMaxHeadSize) {
    return InvalidArgument(Equals("embed_dim", embed_dim) + " with " + Equals("num_heads", num_heads) +
                           " gives heads of " + std::to_string(HeadDim()) + " features; at most " +
                           std::to_string(kMaxHeadSize) + " are allowed");
  }
  if (num_heads % KvHeads() != 0) {
    return InvalidArgument(Equals("num_kv_heads", num_kv_heads) + " does not divide " + Equals("num_heads", num_heads));
  }
  return {};
}

std::string TopKAttentionShape::ToJson() const { return FieldsToJson<Shape>(*this, kShapeFields); }

Status TopKAttentionShape::FromJson(std::string_view text, TopKAttentionShape& shape) {
  return StructFromJson<Shape>(text, kShapeFields, shape);
}

}  // namespace topk
