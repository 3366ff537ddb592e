// Reads the start of a window once with full attention, and its last tokens with each of many settings.
//
// What the settings have in common is read only once, so that a hundred of them cost about as much as a few whole
// windows. The price: the keys and values of the start are those of full attention, so that what a setting does to them
// is left out. One KV cache serves all.
#ifndef QWEN_INFER_EVAL_TUNE_PROBE_READER_H_
#define QWEN_INFER_EVAL_TUNE_PROBE_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/context.h"
#include "eval/chunk_scorer.h"
#include "eval/options.h"
#include "eval/window_scores.h"
#include "qwen_infer/engine.h"

namespace qwen_infer::tune {

class ProbeReader {
 public:
  // window: tokens of a window; probed: how many tokens at its end are scored, fewer than there are. `options` and
  // `settings` must outlive it.
  ProbeReader(std::shared_ptr<Model> model, const eval::Options& options, std::span<const eval::Setting> settings,
              int64_t probed, const std::function<bool()>& is_interrupted);

  double CostOfWindow() const;

  // The scores of the probed tokens: with KeepAll() in the place of full attention, then with each setting. As
  // eval::WindowReader::Read in all else.
  eval::WindowScores Read(std::span<const Token> window,
                          const std::function<void(double cost, int64_t tokens)>& on_read);

 private:
  // Reads [at, end); logits of all of them if wanted.
  void Decode(std::span<const Token> window, size_t at, size_t end, const Settings& settings, bool wants_logits);
  std::vector<std::span<const float>> Logits(size_t count) const;

  std::shared_ptr<Model> model_;
  std::span<const eval::Setting> settings_;
  size_t window_;
  size_t probed_;
  Context context_;
  Batch batch_;
  std::vector<float> full_logits_;  // outlive the next pass, unlike those of the context
  eval::ChunkScorer scorer_;
};

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_PROBE_READER_H_
