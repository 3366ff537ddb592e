#include "reader.h"

#include <common.h>
#include <llama.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/context.h"
#include "engine/model_impl.h"

namespace qwen_infer::inspect {

namespace {

// The mass of every row is shown.
std::string MeasureMass(int64_t n_layer) { return "mass=exact,mass@0-" + std::to_string(n_layer - 1) + "=exact"; }

constexpr int64_t kMostTokensAtOnce = 256;
constexpr int64_t kMostBytesOfSelection = 256 << 20;

// The most keys that a row of these layers may keep.
int64_t MostKept(const Settings& settings, const Plan& plan, int64_t n_token) {
  int64_t most = 1;
  for (const int layer : plan.layers) {
    const topk::TopKOptions options = settings.ForLayer(layer, n_token);
    const int64_t least = options.BudgetFor(n_token);
    const int64_t budget = options.min_mass > 0 ? std::max(least, options.max_k) : least;
    most = std::max(most, budget + options.sinks + options.window);
  }
  return std::min(most, n_token);
}

int64_t TokensAtOnce(const Settings& settings, const Plan& plan, const PageShape& shape) {
  constexpr int64_t kBytesOfKey = sizeof(topk::KeyIndex) + sizeof(float);
  const int64_t of_token = shape.n_head * MostKept(settings, plan, shape.n_token) * kBytesOfKey;
  return std::clamp<int64_t>(kMostBytesOfSelection / of_token, 1, kMostTokensAtOnce);
}

// Has the model's attention show itself to the observer while it lives.
class Observed {
 public:
  Observed(TopKContexts& top_k, std::shared_ptr<SelectionObserver> observer) : top_k_(top_k) {
    top_k_.SetObserver(std::move(observer));
  }
  ~Observed() { top_k_.SetObserver(nullptr); }

  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;

 private:
  TopKContexts& top_k_;
};

void CheckLayers(const Capture& capture, const Plan& plan, bool were_named) {
  const std::vector<const LayerCapture*> seen = capture.layers();
  if (seen.empty()) {
    throw std::runtime_error(
        "llama.cpp gave no attention of these layers to top-k attention, so there is nothing to show");
  }
  if (!were_named || seen.size() == plan.layers.size()) return;
  const auto missing = std::find_if(plan.layers.begin(), plan.layers.end(), [&](int layer) {
    return std::none_of(seen.begin(), seen.end(), [&](const LayerCapture* of) { return of->layer == layer; });
  });
  throw std::runtime_error("layer " + std::to_string(*missing) +
                           " has no attention that top-k attention computes: leave it out of --layers");
}

}  // namespace

std::vector<std::string> PiecesOf(const Model& model, std::span<const Token> tokens) {
  std::vector<std::string> pieces;
  pieces.reserve(tokens.size());
  for (const Token token : tokens) pieces.push_back(common_token_to_piece(&model.impl().vocab(), token, true));
  return pieces;
}

PageShape ShapeOf(const Model& model, int64_t n_token, int64_t n_setting) {
  return {.n_layer = model.n_layer(),
          .n_head = std::max(llama_model_n_head(&model.impl().llama()), 1),
          .n_token = n_token,
          .n_setting = n_setting};
}

std::shared_ptr<const Capture> Read(const std::shared_ptr<Model>& model, const Settings& settings,
                                    std::span<const Token> tokens, const Plan& plan, const Options& options,
                                    const Listener& listener) {
  Settings measured = settings;
  topk::Status status = ParseSettings(MeasureMass(model->n_layer()), measured);
  TopKContexts& top_k = model->impl().TopK();
  if (status.ok()) status = top_k.SetSettings(measured);
  if (!status.ok()) throw std::runtime_error(status.message());
  const auto n_token = static_cast<int64_t>(tokens.size());
  const int64_t at_once = TokensAtOnce(settings, plan, ShapeOf(*model, n_token, 1));
  Context context(model,
                  {.n_ctx = n_token,
                   .n_batch = static_cast<int32_t>(at_once),
                   .cache_type = ParseCacheType(options.cache_type),
                   .n_threads = options.threads},
                  listener.is_interrupted);
  const auto capture = std::make_shared<Capture>(plan.layers, n_token, plan.strongest);
  const Observed observed(top_k, capture);
  Batch batch;
  for (int64_t at = 0; at < n_token; at += batch.size()) {
    const int64_t count = std::min(at_once, n_token - at);
    batch.Clear();
    for (int64_t i = at; i < at + count; ++i) batch.Add(tokens[static_cast<size_t>(i)], i, 0, i + 1 == n_token);
    capture->Begin(at, count);
    if (!context.Decode(batch)) throw Cancelled();
    capture->End();
    CheckLayers(*capture, plan, !options.layers.empty());
    listener.on_read(at + count);
  }
  return capture;
}

}  // namespace qwen_infer::inspect
