#include "run.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "engine/model_file.h"
#include "engine/model_impl.h"
#include "narrator.h"
#include "window_reader.h"
#include "windows.h"

namespace qwen_infer::eval {

std::string Hexadecimal(uint64_t number) {
  constexpr int kBase = 16;
  std::array<char, 16> digits = {};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number, kBase);
  return {digits.data(), end};
}

topk::Status MakeCorpus(const Model& model, const Text& text, const Options& options, Corpus& out) {
  if (options.window > model.trained_context_length()) {
    return topk::InvalidArgument("--window " + std::to_string(options.window) + " is more than the " +
                                 std::to_string(model.trained_context_length()) +
                                 " tokens that the model was trained with");
  }
  const Tokenizer tokenize = [&model](std::string_view piece) {
    return model.Tokenize(piece, /*add_special=*/true, /*parse_special=*/false);
  };
  std::vector<std::vector<Token>> windows;
  topk::Status status = CutWindows(text.text, options.windows, options.window, tokenize, windows);
  if (status.ok()) out = CorpusOf(std::move(windows));
  return status;
}

Corpus CorpusOf(std::vector<std::vector<Token>> windows) {
  Hash hash;
  for (const std::vector<Token>& window : windows) hash.Add(window.data(), window.size() * sizeof(Token));
  return {.windows = std::move(windows), .hash = Hexadecimal(hash.value())};
}

RunIdentity IdentityOf(const Model& model, const Corpus& corpus, const Options& options, const std::string& versions) {
  std::string settings;
  for (const Setting& setting : options.settings) settings += FormatSettings(setting.settings) + "\n";
  return {{"model", Hexadecimal(model.impl().fingerprint)},
          {"text", corpus.hash},
          {"windows", std::to_string(options.windows)},
          {"window", std::to_string(options.window)},
          {"settings", settings},
          {"cache_type", options.cache_type},
          {"versions", versions}};
}

void RunWindows(const Reading& reading, const Corpus& corpus, const RunIdentity& identity,
                const std::string& state_path, const Listener& listener, std::vector<WindowScores>& done) {
  const size_t missing = corpus.windows.size() - std::min(done.size(), corpus.windows.size());
  Narrator narrator(listener.say, reading.cost_of_window * static_cast<double>(missing));
  while (done.size() < corpus.windows.size()) {
    narrator.Begin("window " + std::to_string(done.size() + 1) + " of " + std::to_string(corpus.windows.size()));
    const std::vector<Token>& window = corpus.windows[done.size()];
    done.push_back(reading.read(window, [&](double cost, int64_t tokens) { narrator.Add(cost, tokens); }));
    const topk::Status status = SaveState(state_path, identity, done);
    if (!status.ok()) throw std::runtime_error(status.message());
  }
}

void RunWindows(const std::shared_ptr<Model>& model, const Corpus& corpus, const Options& options,
                const RunIdentity& identity, const std::string& state_path, const Listener& listener,
                std::vector<WindowScores>& done) {
  if (done.size() >= corpus.windows.size()) return;
  WindowReader reader(model, options, listener.is_interrupted);
  const Reading reading = {
      .cost_of_window = reader.CostOfWindow(),
      .read = [&reader](auto window, const auto& on_read) { return reader.Read(window, on_read); }};
  RunWindows(reading, corpus, identity, state_path, listener, done);
}

}  // namespace qwen_infer::eval
