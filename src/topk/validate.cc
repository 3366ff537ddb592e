#include "topk/validate.h"

#include <cmath>
#include <string>

namespace topk {

namespace {

// Products of counts stay far from 2^63.
constexpr int64_t kMaxRows = int64_t{1} << 40;
constexpr int64_t kMaxKeyRows = int64_t{1} << 48;  // of kMaxHeadSize numbers each

std::string Equals(const char* name, int64_t value) { return std::string(name) + "=" + std::to_string(value); }

Status InRange(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return {};
  return InvalidArgument(Equals(name, value) + " is out of range: it must be from " + std::to_string(min) + " to " +
                         std::to_string(max));
}

Status CheckCounts(const AttentionInput& in) {
  if (Status s = InRange("n_batch", in.n_batch, 0, kMaxRows); !s.ok()) return s;
  if (Status s = InRange("n_query", in.n_query, 0, kMaxKeys); !s.ok()) return s;
  if (Status s = InRange("n_key", in.n_key, 0, kMaxKeys); !s.ok()) return s;
  if (Status s = InRange("most_visible", in.most_visible, 0, kMaxKeys); !s.ok()) return s;
  if (Status s = InRange("n_head", in.n_head, 1, kMaxKeys); !s.ok()) return s;
  if (Status s = InRange("n_head_kv", in.n_head_kv, 1, in.n_head); !s.ok()) return s;
  if (Status s = InRange("d_k", in.d_k, 1, kMaxHeadSize); !s.ok()) return s;
  if (Status s = InRange("d_v", in.d_v, 1, kMaxHeadSize); !s.ok()) return s;
  if (in.n_head % in.n_head_kv != 0) {
    return InvalidArgument(Equals("n_head", in.n_head) + " is not a multiple of " + Equals("n_head_kv", in.n_head_kv) +
                           ": query heads are shared out evenly among KV heads");
  }
  if (in.n_batch > 0 && in.n_query > 0 && in.n_head > kMaxRows / in.n_batch / in.n_query) {
    return InvalidArgument("n_batch * n_query * n_head is too large: at most " + std::to_string(kMaxRows) + " rows");
  }
  if (in.n_batch > 0 && in.n_key > 0 && in.n_head_kv > kMaxKeyRows / in.n_batch / in.n_key) {
    return InvalidArgument("n_batch * n_key * n_head_kv is too large: at most " + std::to_string(kMaxKeyRows) +
                           " rows of keys");
  }
  return {};
}

Status CheckMask(const MaskView& mask) {
  if (mask.data == nullptr) return {};
  if (mask.type != DataType::kF16 && mask.type != DataType::kF32) {
    return InvalidArgument("mask.type must be f16 or f32");
  }
  if (mask.n_head < 1 || mask.n_batch < 1) {
    return InvalidArgument("mask." + Equals("n_head", mask.n_head) + " and mask." + Equals("n_batch", mask.n_batch) +
                           " must be at least 1");
  }
  return ValidateView("mask", {mask.data, mask.type, mask.query_stride, mask.head_stride, mask.batch_stride}, 1, true);
}

// What only a softmax has.
Status CheckActivation(const AttentionInput& in, const TopKOptions& options) {
  if (static_cast<int>(in.activation) > static_cast<int>(Activation::kRelu)) {
    return InvalidArgument(Equals("activation", static_cast<int>(in.activation)) + " is no Activation");
  }
  if (in.activation == Activation::kSoftmax) return {};
  const std::string reason = " with activation kRelu: its weights are not shares of a sum; ";
  if (in.sink_logits != nullptr) return InvalidArgument("sink_logits" + reason + "leave it null");
  if (options.min_mass > 0) {
    return InvalidArgument("min_mass=" + std::to_string(options.min_mass) + reason + "set it to 0");
  }
  if (options.mass != MassMode::kOff) return InvalidArgument("mass" + reason + "set it to off");
  return {};
}

}  // namespace

Status ValidateView(const char* name, const TensorView& view, int64_t d, bool used) {
  const std::string prefix(name);
  if (static_cast<int>(view.type) > static_cast<int>(DataType::kQ8_0)) {
    return InvalidArgument(prefix + ".type=" + std::to_string(static_cast<int>(view.type)) + " is no DataType");
  }
  if (view.type == DataType::kQ8_0 && d % kQ8BlockSize != 0) {
    return InvalidArgument(prefix + " is q8_0 with head size " + std::to_string(d) + ": it must be a multiple of 32");
  }
  if (used && view.data == nullptr) return InvalidArgument(prefix + ".data is null");
  const int64_t alignment = view.type == DataType::kF32 ? 4 : 2;
  const auto address = reinterpret_cast<uintptr_t>(view.data);
  if (address % alignment != 0 || view.token_stride % alignment != 0 || view.head_stride % alignment != 0 ||
      view.batch_stride % alignment != 0) {
    return InvalidArgument(prefix +
                           " is misaligned: its address and strides, which are in bytes, must be multiples of " +
                           std::to_string(alignment));
  }
  return {};
}

Status ValidateOutput(const char* name, const OutputView& out, const OutputShape& shape, bool used) {
  if (Status s = ValidateView(name, {out.data, DataType::kF32, out.token_stride, out.head_stride, out.batch_stride},
                              shape.d, used);
      !s.ok()) {
    return s;
  }
  // Only the smallest stride of a dimension that is used can make two rows overlap in a way that is seen from here.
  const int64_t row_bytes = 4 * shape.d;
  const auto overlaps = [&](int64_t count, int64_t stride) { return count > 1 && std::abs(stride) < row_bytes; };
  if (used && (overlaps(shape.n_head, out.head_stride) || overlaps(shape.n_token, out.token_stride) ||
               overlaps(shape.n_batch, out.batch_stride))) {
    return InvalidArgument(std::string(name) + " has overlapping rows: each stride must be at least 4 * " +
                           std::to_string(shape.d) + " = " + std::to_string(row_bytes) + " bytes");
  }
  return {};
}

Status ValidateExecutor(const Executor& executor) {
  if (executor.parallel_for != nullptr && executor.n_workers >= 1) return {};
  return InvalidArgument("the executor has no parallel_for, or n_workers=" + std::to_string(executor.n_workers) +
                         " is below 1");
}

Status ValidateInput(const AttentionInput& in, const TopKOptions& options) {
  if (Status s = options.Validate(); !s.ok()) return s;
  if (Status s = CheckCounts(in); !s.ok()) return s;
  const bool has_rows = in.n_batch > 0 && in.n_query > 0;
  const bool has_keys = has_rows && in.n_key > 0;
  if (in.q.type != DataType::kF32) return InvalidArgument("q.type must be f32");
  if (Status s = ValidateView("q", in.q, in.d_k, has_rows); !s.ok()) return s;
  if (Status s = ValidateView("k", in.k, in.d_k, has_keys); !s.ok()) return s;
  if (Status s = ValidateView("v", in.v, in.d_v, has_keys); !s.ok()) return s;
  if (Status s = CheckMask(in.mask); !s.ok()) return s;
  if (!std::isfinite(in.scale)) return InvalidArgument("scale must be finite");
  if (!std::isfinite(in.softcap) || in.softcap < 0) return InvalidArgument("softcap must be 0 or positive, and finite");
  if (!std::isfinite(in.alibi_max_bias) || in.alibi_max_bias < 0) {
    return InvalidArgument("alibi_max_bias must be 0 or positive, and finite");
  }
  if (in.alibi_max_bias > 0 && in.mask.data == nullptr) {
    return InvalidArgument("alibi_max_bias needs a mask: ALiBi's slope multiplies it");
  }
  const bool can_drop = in.dropout_p >= 0 && in.dropout_p < 1;  // NaN cannot
  if (!can_drop) {
    return InvalidArgument("dropout_p=" + std::to_string(in.dropout_p) +
                           " is out of range: it must be from 0 to below 1");
  }
  return CheckActivation(in, options);
}

Status Validate(const AttentionInput& in, const TopKOptions& options, const AttentionOutput& output) {
  if (Status s = ValidateInput(in, options); !s.ok()) return s;
  return ValidateOutput("out", output.out, {in.n_batch, in.n_query, in.n_head, in.d_v},
                        in.n_batch > 0 && in.n_query > 0);
}

}  // namespace topk
