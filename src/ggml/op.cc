#include "op.h"

#include <ggml.h>

#include <algorithm>
#include <cstring>

#include "types.h"

namespace qwen_infer {
namespace {

// The op's operands (ggml.h, ggml_flash_attn_ext); ne[0] is the innermost dimension:
//   q    f32  [d_k, n_query, n_head,    n_batch]
//   k         [d_k, n_key,   n_head_kv, n_batch]
//   v         [d_v, n_key,   n_head_kv, n_batch]
//   mask f16  [n_key, n_query, n_head or a divisor, n_batch or a divisor], optional
//   sink_logits f32 [n_head], optional
//   dst  f32  [d_v, n_head, n_query, n_batch]
const ggml_tensor* Q(const ggml_tensor& op) { return op.src[0]; }
const ggml_tensor* K(const ggml_tensor& op) { return op.src[1]; }
const ggml_tensor* V(const ggml_tensor& op) { return op.src[2]; }
const ggml_tensor* Mask(const ggml_tensor& op) { return op.src[3]; }
const ggml_tensor* SinkLogits(const ggml_tensor& op) { return op.src[4]; }

bool HasContiguousRows(const ggml_tensor& tensor) { return tensor.nb[0] == ggml_type_size(tensor.type); }

bool IsKeyOrValue(const ggml_tensor& tensor) {
  return DataTypeOf(tensor.type).has_value() && HasContiguousRows(tensor) &&
         tensor.ne[0] % ggml_blck_size(tensor.type) == 0 && tensor.ne[0] >= 1 && tensor.ne[0] <= topk::kMaxHeadSize;
}

struct Fact {
  const char* unless;  // the reason to refuse
  bool (*holds)(const ggml_tensor& op);
};

// In order: later facts rely on earlier ones.
constexpr Fact kFacts[] = {
    {"it is not FLASH_ATTN_EXT", [](const ggml_tensor& op) { return op.op == GGML_OP_FLASH_ATTN_EXT; }},
    {"an operand is missing",
     [](const ggml_tensor& op) { return Q(op) != nullptr && K(op) != nullptr && V(op) != nullptr; }},
    {"q or the result is not f32",
     [](const ggml_tensor& op) { return Q(op)->type == GGML_TYPE_F32 && op.type == GGML_TYPE_F32; }},
    {"rows of q or of the result are not contiguous",
     [](const ggml_tensor& op) { return HasContiguousRows(*Q(op)) && HasContiguousRows(op); }},
    {"k is not f32, f16, bf16 or q8_0 with contiguous rows of 1 to 1024 numbers",
     [](const ggml_tensor& op) { return IsKeyOrValue(*K(op)); }},
    {"v is not f32, f16, bf16 or q8_0 with contiguous rows of 1 to 1024 numbers",
     [](const ggml_tensor& op) { return IsKeyOrValue(*V(op)); }},
    {"q and k differ in head size", [](const ggml_tensor& op) { return Q(op)->ne[0] == K(op)->ne[0]; }},
    {"k and v differ in the number of keys", [](const ggml_tensor& op) { return K(op)->ne[1] == V(op)->ne[1]; }},
    {"there are more keys than the kernels count (topk::kMaxKeys)",
     [](const ggml_tensor& op) { return K(op)->ne[1] <= topk::kMaxKeys; }},
    {"k and v differ in the number of heads", [](const ggml_tensor& op) { return K(op)->ne[2] == V(op)->ne[2]; }},
    {"the query heads are no multiple of the KV heads",
     [](const ggml_tensor& op) { return K(op)->ne[2] > 0 && Q(op)->ne[2] > 0 && Q(op)->ne[2] % K(op)->ne[2] == 0; }},
    {"q, k and v differ in the number of sequences",
     [](const ggml_tensor& op) { return Q(op)->ne[3] == K(op)->ne[3] && Q(op)->ne[3] == V(op)->ne[3]; }},
    {"the result's shape is not [d_v, heads, queries, sequences]",
     [](const ggml_tensor& op) {
       return op.ne[0] == V(op)->ne[0] && op.ne[1] == Q(op)->ne[2] && op.ne[2] == Q(op)->ne[1] &&
              op.ne[3] == Q(op)->ne[3];
     }},
    {"the mask is not f16 with contiguous rows",
     [](const ggml_tensor& op) {
       return Mask(op) == nullptr || (Mask(op)->type == GGML_TYPE_F16 && HasContiguousRows(*Mask(op)));
     }},
    {"the mask does not cover all queries, keys, heads and sequences",
     [](const ggml_tensor& op) {
       const ggml_tensor* mask = Mask(op);
       return mask == nullptr ||
              (mask->ne[0] >= K(op)->ne[1] && mask->ne[1] >= Q(op)->ne[1] && mask->ne[2] > 0 && mask->ne[3] > 0 &&
               Q(op)->ne[2] % mask->ne[2] == 0 && Q(op)->ne[3] % mask->ne[3] == 0);
     }},
    {"the sink logits are not one f32 for each query head",
     [](const ggml_tensor& op) {
       const ggml_tensor* logits = SinkLogits(op);
       return logits == nullptr ||
              (logits->type == GGML_TYPE_F32 && HasContiguousRows(*logits) && logits->ne[0] == Q(op)->ne[2]);
     }},
};

topk::TensorView ViewOf(const ggml_tensor& tensor) {
  // Only types that the kernels know get this far.
  return {tensor.data, DataTypeOf(tensor.type).value_or(topk::DataType::kF32), static_cast<int64_t>(tensor.nb[1]),
          static_cast<int64_t>(tensor.nb[2]), static_cast<int64_t>(tensor.nb[3])};
}

topk::MaskView ViewOfMask(const ggml_tensor& mask) {
  return {mask.data,
          topk::DataType::kF16,
          mask.ne[2],
          mask.ne[3],
          static_cast<int64_t>(mask.nb[1]),
          static_cast<int64_t>(mask.nb[2]),
          static_cast<int64_t>(mask.nb[3])};
}

// ggml keeps parameters as untyped words: 0 scale, 1 max_bias, 2 logit_softcap. (3, the precision, asks for at least
// what we do.) 4 is n_kv_max.
float FloatParameter(const ggml_tensor& op, int index) {
  float value = 0.0F;
  std::memcpy(&value, &op.op_params[index], sizeof(value));
  return value;
}

}  // namespace

const char* WhyUnsupported(const ggml_tensor& op) {
  for (const Fact& fact : kFacts) {
    if (!fact.holds(op)) return fact.unless;
  }
  return nullptr;
}

topk::AttentionInput InputOf(const ggml_tensor& op) {
  topk::AttentionInput input;
  input.n_batch = Q(op)->ne[3];
  input.n_query = Q(op)->ne[1];
  input.n_key = K(op)->ne[1];
  input.n_head = Q(op)->ne[2];
  input.n_head_kv = K(op)->ne[2];
  input.d_k = K(op)->ne[0];
  input.d_v = V(op)->ne[0];
  input.q = ViewOf(*Q(op));
  input.k = ViewOf(*K(op));
  input.v = ViewOf(*V(op));
  if (Mask(op) != nullptr) input.mask = ViewOfMask(*Mask(op));
  input.scale = FloatParameter(op, 0);
  input.alibi_max_bias = FloatParameter(op, 1);
  input.softcap = FloatParameter(op, 2);
  // A hint: what is no count is none.
  input.most_visible = std::clamp<int64_t>(op.op_params[4], 0, input.n_key);
  if (SinkLogits(op) != nullptr) input.sink_logits = static_cast<const float*>(SinkLogits(op)->data);
  return input;
}

topk::OutputView OutputOf(const ggml_tensor& op) {
  return {static_cast<float*>(op.data), static_cast<int64_t>(op.nb[2]), static_cast<int64_t>(op.nb[1]),
          static_cast<int64_t>(op.nb[3])};
}

}  // namespace qwen_infer
