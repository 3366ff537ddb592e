// From our options to llama.cpp's samplers.
#ifndef QWEN_INFER_SRC_ENGINE_SAMPLING_H_
#define QWEN_INFER_SRC_ENGINE_SAMPLING_H_

#include <sampling.h>

#include <span>

#include "qwen_infer/engine.h"

namespace qwen_infer {

// Throws std::invalid_argument, naming the option, its value and what is allowed.
void CheckOptions(const GenerateOptions& options);

// A sampler that has seen the prompt.
common_sampler_ptr MakeSampler(const llama_model& model, const SamplingOptions& options, std::span<const Token> prompt);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_SAMPLING_H_
