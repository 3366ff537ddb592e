// Reads a text with one setting, and captures what its layers keep.
#ifndef QWEN_INFER_INSPECT_READER_H_
#define QWEN_INFER_INSPECT_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capture.h"
#include "options.h"
#include "plan.h"
#include "qwen_infer/engine.h"

namespace qwen_infer::inspect {

struct Listener {
  std::function<void(int64_t n_read)> on_read;
  std::function<bool()> is_interrupted;  // asked some ten times a second
};

// The bytes of each token, which are no whole characters everywhere.
std::vector<std::string> PiecesOf(const Model& model, std::span<const Token> tokens);

PageShape ShapeOf(const Model& model, int64_t n_token, int64_t n_setting);

// The model has top-k attention. Beside its KV cache and the capture it takes up to 256 MB for what is kept of the
// tokens that are computed at once. Throws Cancelled if interrupted, std::runtime_error if llama.cpp fails or gives no
// attention of the plan's layers to top-k attention.
std::shared_ptr<const Capture> Read(const std::shared_ptr<Model>& model, const Settings& settings,
                                    std::span<const Token> tokens, const Plan& plan, const Options& options,
                                    const Listener& listener);

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_READER_H_
