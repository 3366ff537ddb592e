#include "layer/input.h"

#include <limits>
#include <optional>
#include <string>

#include "layer/product.h"

namespace topk {

namespace {

constexpr int64_t kFloatBytes = sizeof(float);

Status CheckCount(const char* name, int64_t value) {
  if (value >= 0 && value <= kMaxKeys) return {};
  return InvalidArgument(std::string(name) + "=" + std::to_string(value) + " is not allowed: " + name +
                         " is an integer from 0 to " + std::to_string(kMaxKeys));
}

Status CheckMaskCount(const char* name, int64_t value, const char* other_name, int64_t other) {
  if (value == 1 || value == other) return {};
  return InvalidArgument(std::string(name) + "=" + std::to_string(value) + " is not allowed: " + name + " is 1 or " +
                         other_name + "=" + std::to_string(other));
}

// An input that stands in for another needs as many features as that one.
Status CheckStandIn(const char* missing, int64_t features, const char* stand_in, int64_t its_features) {
  if (features == its_features) return {};
  return InvalidArgument(std::string(missing) + " is empty, and " + stand_in + " cannot stand in for it: the layer's " +
                         missing + " has " + std::to_string(features) + " features and not " +
                         std::to_string(its_features));
}

Status CheckMasks(const TopKAttentionShape& shape, const TopKAttentionInput& in, const LayerInput& resolved) {
  if (!in.key_padding_mask.empty()) {
    if (Status s = CheckLength("key_padding_mask", in.key_padding_mask.size(), "[batch, n_key]",
                               {resolved.batch, resolved.n_key});
        !s.ok()) {
      return s;
    }
  }
  if (in.attn_mask.empty()) return {};
  if (Status s = CheckMaskCount("mask_batch", in.mask_batch, "batch", resolved.batch); !s.ok()) return s;
  if (Status s = CheckMaskCount("mask_heads", in.mask_heads, "num_heads", shape.num_heads); !s.ok()) return s;
  return CheckLength("attn_mask", in.attn_mask.size(), "[mask_batch, mask_heads, n_query, n_key]",
                     {in.mask_batch, in.mask_heads, resolved.n_query, resolved.n_key});
}

}  // namespace

Status CheckLength(std::string_view argument, size_t size, std::string_view names,
                   std::initializer_list<int64_t> counts) {
  const std::optional<int64_t> needed = Product(counts);
  if (needed && static_cast<size_t>(*needed) == size) return {};
  std::string values;
  for (const int64_t n : counts) values += (values.empty() ? "" : ", ") + std::to_string(n);
  return InvalidArgument(std::string(argument) + " has " + std::to_string(size) + " numbers; it must be " +
                         std::string(names) + " = [" + values + "]");
}

Status ResolveInput(const TopKAttentionShape& shape, const TopKAttentionInput& in, LayerInput& resolved) {
  if (in.key.empty() && !in.value.empty()) return InvalidArgument("value is given, but key is empty: give both");
  LayerInput out;
  out.batch = in.batch;
  out.n_query = in.n_query;
  out.key_is_query = in.key.empty();
  out.value_is_key = in.value.empty();
  out.n_key = out.key_is_query ? in.n_query : in.n_key;
  if (Status s = CheckCount("batch", out.batch); !s.ok()) return s;
  if (Status s = CheckCount("n_query", out.n_query); !s.ok()) return s;
  if (Status s = CheckCount("n_key", out.n_key); !s.ok()) return s;
  if (Status s = CheckLength("query", in.query.size(), "[batch, n_query, embed_dim]",
                             {out.batch, out.n_query, shape.embed_dim});
      !s.ok()) {
    return s;
  }
  if (out.key_is_query) {
    if (Status s = CheckStandIn("key", shape.KeyDim(), "query", shape.embed_dim); !s.ok()) return s;
  } else if (Status s =
                 CheckLength("key", in.key.size(), "[batch, n_key, kdim]", {out.batch, out.n_key, shape.KeyDim()});
             !s.ok()) {
    return s;
  }
  if (out.value_is_key) {
    if (Status s = CheckStandIn("value", shape.ValueDim(), "key", shape.KeyDim()); !s.ok()) return s;
  } else if (Status s = CheckLength("value", in.value.size(), "[batch, n_key, vdim]",
                                    {out.batch, out.n_key, shape.ValueDim()});
             !s.ok()) {
    return s;
  }
  if (Status s = CheckMasks(shape, in, out); !s.ok()) return s;
  out.query = in.query.data();
  out.key = out.key_is_query ? out.query : in.key.data();
  out.value = out.value_is_key ? out.key : in.value.data();
  resolved = out;
  return {};
}

MaskView CombineMasks(const TopKAttentionInput& in, const LayerInput& resolved, std::vector<float>& memory) {
  MaskView view;
  view.type = DataType::kF32;
  const int64_t n_key = resolved.n_key;
  const bool has_mask = !in.attn_mask.empty();
  if (in.key_padding_mask.empty()) {
    view.data = has_mask ? in.attn_mask.data() : nullptr;
    view.n_batch = in.mask_batch;
  } else {
    // Without attn_mask one row serves all heads and queries of a sequence.
    const int64_t rows = has_mask ? in.mask_heads * resolved.n_query : 1;
    memory.resize(static_cast<size_t>(resolved.batch * rows * n_key));
    float* to = memory.data();
    for (int64_t b = 0; b < resolved.batch; ++b) {
      const uint8_t* hidden = in.key_padding_mask.data() + b * n_key;
      const float* mask = has_mask ? in.attn_mask.data() + (b % in.mask_batch) * rows * n_key : nullptr;
      for (int64_t i = 0; i < rows * n_key; ++i) {
        const float visible = mask != nullptr ? mask[i] : 0.0F;
        *to++ = hidden[i % n_key] != 0 ? -std::numeric_limits<float>::infinity() : visible;
      }
    }
    view.data = memory.data();
    view.n_batch = resolved.batch;
  }
  if (view.data == nullptr) return {};
  view.n_head = has_mask ? in.mask_heads : 1;
  view.query_stride = has_mask ? kFloatBytes * n_key : 0;
  view.head_stride = view.query_stride * resolved.n_query;
  view.batch_stride = has_mask ? view.head_stride * view.n_head : kFloatBytes * n_key;
  return view;
}

}  // namespace topk
