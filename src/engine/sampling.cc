#include "engine/sampling.h"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace qwen_infer {

namespace {

// NaN is in no range.
template <typename Number>
void CheckRange(std::string_view name, Number value, Number least, Number most) {
  if (value >= least && value <= most) return;
  std::ostringstream message;
  message << name << "=" << value << " must be from " << least << " to " << most;
  throw std::invalid_argument(message.str());
}

constexpr float kHottest = 100;    // logits that are divided by more are all alike
constexpr float kWeakest = 0.01F;  // penalties divide logits
constexpr float kStrongest = 100;

}  // namespace

void CheckOptions(const GenerateOptions& options) {
  CheckRange<int64_t>("max_new_tokens", options.max_new_tokens, 1, INT32_MAX);
  const SamplingOptions& sampling = options.sampling;
  CheckRange("temperature", sampling.temperature, 0.0F, kHottest);
  CheckRange("top_p", sampling.top_p, 0.0F, 1.0F);
  CheckRange("top_k", sampling.top_k, 0, INT32_MAX);
  CheckRange("min_p", sampling.min_p, 0.0F, 1.0F);
  CheckRange("repetition_penalty", sampling.repetition_penalty, kWeakest, kStrongest);
  for (const std::string& stop : options.stop) {
    if (stop.empty()) throw std::invalid_argument("stop has an empty string, at which every answer would end");
  }
}

common_sampler_ptr MakeSampler(const llama_model& model, const SamplingOptions& options,
                               std::span<const Token> prompt) {
  common_params_sampling params;
  params.temp = options.temperature;
  params.top_p = options.top_p;
  // The likeliest token is found faster than the likeliest forty.
  params.top_k = options.temperature == 0 ? 1 : options.top_k;
  params.min_p = options.min_p;
  params.penalty_repeat = options.repetition_penalty;
  if (options.seed) params.seed = *options.seed;
  params.no_perf = true;
  common_sampler_ptr sampler(common_sampler_init(&model, params));
  if (sampler == nullptr) throw std::runtime_error("llama.cpp made no sampler");
  const size_t seen = std::min(prompt.size(), static_cast<size_t>(params.penalty_last_n));
  for (const Token token : prompt.last(seen)) common_sampler_accept(sampler.get(), token, /*is_generated=*/false);
  return sampler;
}

}  // namespace qwen_infer
