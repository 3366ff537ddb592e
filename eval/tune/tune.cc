#include "eval/tune/tune.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <utility>

#include "engine/context.h"
#include "engine/model_file.h"
#include "engine/model_impl.h"
#include "eval/state.h"
#include "eval/summary.h"
#include "eval/tune/budget_settings.h"
#include "eval/tune/probe_reader.h"
#include "eval/tune/probes.h"
#include "shared/fixed.h"

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

std::string OutOfReachText(std::span<const Tried> tried, double kl) {
  const auto nearest =
      std::min_element(tried.begin(), tried.end(), [](const Tried& a, const Tried& b) { return a.kl < b.kl; });
  return "the aim is out of reach: it allows a divergence from full attention of " + Fixed(kl, 5) +
         " nats, and the least of all that was tried is " + Fixed(nearest->kl, 5) + "; raise --max_ppl_increase";
}

// On text that the model itself would write, log perplexity rises by the divergence on average: that is what the
// divergence from full attention is.
double DivergenceOf(const Options& options) { return std::log1p(options.value); }

// What the calibration windows can tell: rows whose predictions are scored see so many keys.
int64_t LeastSeen(const Options& options) { return options.window - options.probe; }
int64_t MostSeen(const Options& options) { return options.window - 1; }

// The sum of what single layers lose is not quite what they lose together: budgets for more and for less of it.
std::vector<std::string> LayersAround(std::span<const Curve> curves, double kl) {
  std::vector<std::string> layers;
  for (const double factor : {4.0, 2.0, 1.0, 0.5, 0.25}) {
    Budgets budgets;
    if (!AllocateKl(curves, factor * kl, budgets).ok()) continue;
    std::string text = SettingsOf(budgets, FixedBudget(budgets));
    if (layers.empty() || layers.back() != text) layers.push_back(std::move(text));
  }
  return layers;
}

// The scores of the calibration windows with these settings.
using Read = std::function<std::vector<eval::WindowScores>(const std::vector<eval::Setting>&, const char* label)>;

Choice ChoiceOf(const Budgets& budgets) {
  const int64_t fixed_k = FixedBudget(budgets);
  return {.settings = SettingsOf(budgets, fixed_k), .fixed_k = fixed_k};
}

// The fewest keys whose divergence is allowed.
Choice ChooseFewest(std::span<const Curve> curves, const Budgets& budgets, const Options& options, const Read& read) {
  Choice choice = ChoiceOf(budgets);
  const double allowed = DivergenceOf(options);
  const std::vector<eval::Setting> candidates =
      Candidates(choice.fixed_k, LayersAround(curves, allowed), !options.layers_only);
  choice.tried = TriedOf(candidates, read(candidates, "trying budgets"));
  const Tried* fewest = Fewest(choice.tried, allowed);
  if (fewest == nullptr) throw std::runtime_error(OutOfReachText(choice.tried, allowed));
  choice.settings = fewest->settings;
  choice.fixed_k = std::max<int64_t>(1, std::llround(fewest->keys_per_row));
  return choice;
}

// Refines what is in `choice`.
void Refine(const Base& base, const Options& options, const Read& read, Choice& choice) {
  const std::vector<RefinedWay> ways = RefinedWays(base);
  std::vector<eval::Setting> settings;
  for (const RefinedWay& way : ways) settings.push_back(SettingFor(way.settings, way.settings));
  const std::vector<eval::WindowScores> windows = read(settings, "trying refinements");
  const std::vector<Tried> tried = TriedOf(settings, windows);
  const auto difference = [&](size_t a, size_t b) {
    constexpr size_t kFirst = eval::kFullAttention + 1;
    return eval::KlDifference(windows, kFirst + a, kFirst + b, {1, options.probe + 1}, options.seed);
  };
  for (size_t way = 0; way < ways.size(); ++way) {
    choice.refined.push_back({ways[way].refinement, tried[way], difference(way, 0)});
  }
  choice.settings = ways[BestRefined(ways, tried, static_cast<double>(choice.fixed_k), difference)].settings;
}

// The least divergence with no more keys than the budgets have.
Choice ChooseNearest(std::span<const Curve> curves, const Budgets& budgets, const Options& options, const Read& read) {
  Choice choice = ChoiceOf(budgets);
  Base base = {.settings = choice.settings,
               .curves = curves,
               .budgets = budgets,
               .mass_targets = {},
               .keys_seen = static_cast<double>(LeastSeen(options) + MostSeen(options)) / 2};
  if (!options.layers_only) {
    const std::array<std::string, 1> layers = {choice.settings};
    const std::vector<eval::Setting> candidates = Candidates(choice.fixed_k, layers, /*mass_targets=*/true);
    choice.tried = TriedOf(candidates, read(candidates, "trying budgets"));
    base.settings = Best(choice.tried).settings;
    // They follow on the fixed budget and that of the layers.
    if (base.settings != choice.settings) base.mass_targets = std::span(choice.tried).subspan(1 + layers.size());
  }
  Refine(base, options, read, choice);
  return choice;
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
  const std::vector<int64_t> budgets = ProbedBudgets(LeastSeen(options));
  const std::vector<eval::WindowScores> windows = ReadEnds(model, corpus, options, Probes(model->n_layer(), budgets),
                                                           versions, Labelled(listener, "measuring the layers"));
  return CurvesOf(windows, model->n_layer(), budgets, MostSeen(options));
}

Choice Choose(const std::shared_ptr<Model>& model, const eval::Corpus& corpus, std::span<const Curve> curves,
              const Budgets& budgets, const Options& options, const std::string& versions,
              const eval::Listener& listener) {
  const Read read = [&](const std::vector<eval::Setting>& settings, const char* label) {
    return ReadEnds(model, corpus, options, settings, versions, Labelled(listener, label));
  };
  switch (options.aim) {
    case Aim::kBudget: return ChooseNearest(curves, budgets, options, read);
    case Aim::kPerplexityIncrease: return ChooseFewest(curves, budgets, options, read);
    case Aim::kMass: break;
  }
  return ChoiceOf(budgets);
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
    case Aim::kPerplexityIncrease:
      return OutOfReach(AllocateKl(curves, DivergenceOf(options), out), "raise --max_ppl_increase");
  }
  return {};
}

}  // namespace qwen_infer::tune
