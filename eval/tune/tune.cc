#include "eval/tune/tune.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <utility>

#include "engine/context.h"
#include "engine/model_file.h"
#include "engine/model_impl.h"
#include "eval/state.h"
#include "eval/tune/probe_reader.h"
#include "eval/tune/probes.h"

namespace qwen_infer::tune {

namespace {

// A file of its own for each run, so that one folder has those of many aims.
std::string StatePath(const Options& options, const char* step, const eval::RunIdentity& identity) {
  Hash hash;
  for (const auto& [name, value] : identity) {
    for (const std::string& part : {name, value}) {
      const size_t size = part.size();
      hash.Add(&size, sizeof(size));  // so that no two lists of parts run into the same bytes
      hash.Add(part.data(), size);
    }
  }
  return (std::filesystem::path(options.output) / (std::string(step) + "-" + eval::Hexadecimal(hash.value()))).string();
}

void ThrowUnless(const topk::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

eval::Listener Labelled(const eval::Listener& listener, const std::string& label) {
  return {.say = [&listener, label](std::string_view what) { listener.say(label + ": " + std::string(what)); },
          .is_interrupted = listener.is_interrupted};
}

topk::Status OutOfReach(const topk::Status& status, const std::string& remedy) {
  return status.ok() ? status : topk::InvalidArgument("the aim is out of reach: " + status.message() + "; " + remedy);
}

// The scores of the ends of the windows with each setting (ProbeReader).
std::vector<eval::WindowScores> ReadEnds(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                         const Options& options, std::vector<eval::Setting> settings,
                                         const std::string& versions, const eval::Listener& listener) {
  eval::Options probing = static_cast<const eval::Options&>(options);
  probing.settings = std::move(settings);
  eval::RunIdentity identity = IdentityOf(*model, corpus, probing, versions);
  identity["windows"] = std::to_string(options.calibration_windows);
  identity["probe"] = std::to_string(options.probe);
  const std::string path = StatePath(options, "calibration", identity);
  std::vector<eval::WindowScores> windows;
  ThrowUnless(LoadState(path, identity, windows));
  if (windows.size() >= corpus.windows.size()) return windows;
  ProbeReader reader(model, probing, probing.settings, options.probe, listener.is_interrupted);
  const eval::Reading reading = {
      .cost_of_window = reader.CostOfWindow(),
      .read = [&reader](auto window, const auto& on_read) { return reader.Read(window, on_read); }};
  RunWindows(reading, corpus, identity, path, listener, windows);
  return windows;
}

}  // namespace

topk::Status MakeCorpora(const Model& model, const eval::Text& text, const Options& options, Corpora& out) {
  eval::Options all = static_cast<const eval::Options&>(options);
  all.windows = options.windows + options.calibration_windows;
  eval::Corpus corpus;
  if (topk::Status status = MakeCorpus(model, text, all, corpus); !status.ok()) return status;
  std::vector<std::vector<Token>> calibration;
  std::vector<std::vector<Token>> held_out;
  for (int64_t i = 0; i < all.windows; ++i) {
    // Bresenham's line: the i-th is for calibration if another one is due.
    const bool due =
        (i + 1) * options.calibration_windows / all.windows > i * options.calibration_windows / all.windows;
    (due ? calibration : held_out).push_back(std::move(corpus.windows[static_cast<size_t>(i)]));
  }
  out = {eval::CorpusOf(std::move(calibration)), eval::CorpusOf(std::move(held_out))};
  return {};
}

ProfiledModel Profiled(const std::shared_ptr<Model>& model, const Options& options) {
  Context context(model, {.n_ctx = 2, .cache_type = ParseCacheType(options.cache_type)}, nullptr);
  Batch batch;
  batch.Add(0, 0, 0, true);
  context.Decode(batch);
  ProfiledModel profiled = {.name = std::filesystem::path(options.model).filename().string(),
                            .fingerprint = model->impl().fingerprint,
                            .layers = {},
                            .profile = {}};
  const std::map<int, AttentionShape> shapes = model->impl().TopK().shapes();
  for (int layer = 0; layer < model->n_layer(); ++layer) {
    const auto found = shapes.find(layer);
    if (found == shapes.end()) {
      throw std::runtime_error("layer " + std::to_string(layer) +
                               " has no attention that top-k attention could take the place of: such a model cannot "
                               "be tuned");
    }
    profiled.layers.push_back(found->second);
  }
  return profiled;
}

std::vector<Curve> MeasureLayers(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                 const Options& options, const std::string& versions, const eval::Listener& listener) {
  return CurvesOf(
      ReadEnds(model, corpus, options, Probes(model->n_layer()), versions, Labelled(listener, "measuring the layers")),
      model->n_layer());
}

std::vector<Tried> TryCandidates(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                 const std::vector<eval::Setting>& candidates, const Options& options,
                                 const std::string& versions, const eval::Listener& listener) {
  return TriedOf(candidates, ReadEnds(model, corpus, options, candidates, versions,
                                      Labelled(listener, "trying ways to spend the budget")));
}

std::vector<eval::WindowScores> Compare(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                        const Options& options, const std::string& versions,
                                        const eval::Listener& listener) {
  const eval::RunIdentity identity = IdentityOf(*model, corpus, options, versions);
  const std::string path = StatePath(options, "comparison", identity);
  std::vector<eval::WindowScores> windows;
  ThrowUnless(LoadState(path, identity, windows));
  RunWindows(model, corpus, options, identity, path, Labelled(listener, "comparing on other text"), windows);
  return windows;
}

topk::Status Allocate(std::span<const Curve> curves, const Options& options, Budgets& out) {
  switch (options.aim) {
    case Aim::kBudget: return OutOfReach(AllocateBudget(curves, options.value, out), "raise --budget");
    case Aim::kMass: return OutOfReach(AllocateMass(curves, options.value, out), "lower --min_mass");
    // On text that the model itself would write, log perplexity rises by the divergence on average: that is what the
    // divergence from full attention is.
    case Aim::kPerplexityIncrease:
      return OutOfReach(AllocateKl(curves, std::log1p(options.value), out), "raise --max_ppl_increase");
  }
  return {};
}

int64_t FixedBudget(const Budgets& budgets) { return std::max<int64_t>(1, std::llround(MeanOf(budgets))); }

}  // namespace qwen_infer::tune
