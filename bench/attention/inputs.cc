#include "attention/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include "types.h"

namespace qwen_infer::attention_bench {

namespace {

// Empty if each query sees the first n_key - n_query + i + 1 keys and no others.
std::string WhyNotCausal(const topk::AttentionInput& input, int64_t n_key) {
  if (input.mask.data == nullptr) return input.n_query == 1 ? "" : "it has no mask: every query sees every key";
  if (input.mask.n_head != 1) return "its heads have masks of their own";
  if (input.n_query > n_key) return "it has more queries than keys";
  std::vector<ggml_fp16_t> wanted(static_cast<size_t>(input.n_key), ggml_fp32_to_fp16(-INFINITY));
  std::fill_n(wanted.begin(), n_key - input.n_query, ggml_fp32_to_fp16(0.0F));
  for (int64_t query = 0; query < input.n_query; ++query) {
    const int64_t n_visible = n_key - input.n_query + query + 1;
    wanted[static_cast<size_t>(n_visible - 1)] = ggml_fp32_to_fp16(0.0F);
    if (std::memcmp(input.mask.Row(0, 0, query), wanted.data(), wanted.size() * sizeof(ggml_fp16_t)) == 0) continue;
    return "query " + std::to_string(query) + " of " + std::to_string(input.n_query) + " does not see just the first " +
           std::to_string(n_visible) + " keys: record one sequence without a sliding window";
  }
  return "";
}

std::string WhyNotComparable(const topk::AttentionInput& input, int64_t n_key) {
  if (!std::isfinite(input.scale) || input.scale <= 0) {
    return "its scale of scores is " + std::to_string(input.scale) + ", it must be finite and above 0";
  }
  if (input.n_batch != 1) return "it has " + std::to_string(input.n_batch) + " sequences; bench-attention times one";
  if (input.d_k != input.d_v) {
    return "its heads of K and V differ in size: " + std::to_string(input.d_k) + " and " + std::to_string(input.d_v);
  }
  if (input.k.type != input.v.type) return "K and V are of different types: record with -ctk and -ctv alike";
  if (input.softcap != 0 || input.alibi_max_bias != 0 || input.sink_logits != nullptr) {
    return "its scores have a soft-cap, ALiBi or sink logits, which bench-attention does not time";
  }
  return WhyNotCausal(input, n_key);
}

}  // namespace

topk::Status ReadInputs(const std::string& path, std::shared_ptr<const Inputs>& out) {
  const auto inputs = std::make_shared<Inputs>();
  if (topk::Status status = ReadRecording(path, inputs->recording); !status.ok()) return status;
  inputs->name = std::filesystem::path(path).filename().string();
  inputs->n_key = KeysInUse(inputs->recording.input);
  const std::string why = WhyNotComparable(inputs->recording.input, inputs->n_key);
  if (!why.empty()) return topk::InvalidArgument(path + ": " + why);
  out = inputs;
  return {};
}

topk::Status RecordedCases(const Options& options, std::vector<Case>& cases) {
  for (const std::string& path : options.inputs) {
    std::shared_ptr<const Inputs> inputs;
    if (topk::Status status = ReadInputs(path, inputs); !status.ok()) return status;
    const topk::AttentionInput& input = inputs->recording.input;
    for (const int64_t n_query : options.queries) {
      if (n_query > input.n_query) {
        return topk::InvalidArgument("--queries " + std::to_string(n_query) + " is more than the " +
                                     std::to_string(input.n_query) + " of " + path);
      }
      cases.push_back({.heads = {input.n_head, input.n_head_kv, input.d_k},
                       .type = TypeOf(input.k.type),
                       .n_query = n_query,
                       .n_key = inputs->n_key,
                       .inputs = inputs});
    }
  }
  return {};
}

}  // namespace qwen_infer::attention_bench
