#include "eval/tasks/run.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "engine/model_file.h"
#include "engine/model_impl.h"
#include "eval/narrator.h"
#include "eval/tasks/answer_reader.h"
#include "eval/tasks/fit.h"
#include "eval/tasks/haystack.h"
#include "eval/tasks/state.h"
#include "eval/text.h"

namespace qwen_infer::tasks {

namespace {

// Of texts one after the other.
class TextHash {
 public:
  void Add(const std::string& text) {
    const size_t size = text.size();
    hash_.Add(&size, sizeof(size));  // so that no two lists of texts run into the same bytes
    hash_.Add(text.data(), size);
  }

  std::string Text() const { return eval::Hexadecimal(hash_.value()); }

 private:
  Hash hash_;
};

const Result* Find(const std::vector<Result>& done, const Task& task, int64_t index) {
  const auto found = std::find_if(done.begin(), done.end(), [&](const Result& result) {
    return result.task == task.name && result.index == index;
  });
  return found == done.end() ? nullptr : &*found;
}

// Calls fn(task, index) for all that the options ask for.
template <typename Fn>
void ForEachExample(const Options& options, Fn&& fn) {
  for (const Task* task : options.tasks) {
    for (int64_t index = 0; index < options.examples; ++index) fn(*task, index);
  }
}

topk::Status MakePrompt(const Task& task, int64_t index, const Material& material, const Options& options,
                        const Encoder& encode, Prompt& out) {
  return Fit(task, material, options.length, SeedOf(options.seed, task.name, index), encode, out);
}

}  // namespace

topk::Status ReadMaterial(const Options& options, Material& out) {
  eval::Text text;
  if (!options.paths.empty()) {
    if (topk::Status status = ReadText(options.paths, options.suffixes, text); !status.ok()) return status;
    out.sentences = SentencesOf(text.text);
  }
  if (options.sources.empty()) return {};
  const std::array<std::string, 1> suffixes = {".py"};
  eval::Text code;
  if (topk::Status status = ReadText(options.sources, suffixes, code); !status.ok()) return status;
  out.functions = FunctionsOf(code.text);
  if (!out.functions.empty()) return {};
  std::string message = "there are no Python functions with a docstring in";
  for (const std::string& path : options.sources) message.append(" ").append(path);
  return topk::InvalidArgument(message + ": name other files or folders with --source");
}

void CountTokens(const Model& model, Material& material) {
  for (PythonFunction& function : material.functions) {
    function.tokens = static_cast<int64_t>(model.Tokenize(function.code, /*add_special=*/false).size());
  }
}

eval::RunIdentity IdentityOf(const Model& model, const Material& material, const Options& options,
                             const std::string& versions) {
  std::string settings;
  for (const eval::Setting& setting : options.settings) settings += FormatSettings(setting.settings) + "\n";
  TextHash text;
  for (const std::string& sentence : material.sentences) text.Add(sentence);
  TextHash source;
  for (const PythonFunction& function : material.functions) source.Add(function.code);
  return {{"model", eval::Hexadecimal(model.impl().fingerprint)},
          {"length", std::to_string(options.length)},
          {"seed", std::to_string(options.seed)},
          {"text", text.Text()},
          {"source", source.Text()},
          {"settings", settings},
          {"cache_type", options.cache_type},
          {"versions", versions}};
}

topk::Status CheckLength(const Model& model, const Material& material, const Options& options) {
  if (options.length > model.trained_context_length()) {
    return topk::InvalidArgument("--length " + std::to_string(options.length) + " is more than the " +
                                 std::to_string(model.trained_context_length()) +
                                 " tokens that the model was trained with");
  }
  const Encoder encode = EncoderOf(model);
  for (const Task* task : options.tasks) {
    Prompt prompt;
    if (topk::Status status = MakePrompt(*task, 0, material, options, encode, prompt); !status.ok()) return status;
  }
  return {};
}

std::vector<Result> Wanted(const Options& options, const std::vector<Result>& done) {
  std::vector<Result> wanted;
  ForEachExample(options, [&](const Task& task, int64_t index) {
    if (const Result* result = Find(done, task, index); result != nullptr) wanted.push_back(*result);
  });
  return wanted;
}

void RunExamples(const std::shared_ptr<Model>& model, const Material& material, const Options& options,
                 const eval::RunIdentity& identity, const std::string& state_path, const eval::Listener& listener,
                 std::vector<Result>& done) {
  std::vector<std::pair<const Task*, int64_t>> missing;
  ForEachExample(options, [&](const Task& task, int64_t index) {
    if (Find(done, task, index) == nullptr) missing.emplace_back(&task, index);
  });
  if (missing.empty()) return;
  AnswerReader reader(model, options, listener.is_interrupted);
  const Encoder encode = EncoderOf(*model);
  double cost = 0;
  for (const auto& [task, index] : missing) cost += reader.CostOf(*task);
  eval::Narrator narrator(listener.say, cost);
  for (const auto& [task, index] : missing) {
    narrator.Begin(std::string(task->name) + " " + std::to_string(index + 1) + " of " +
                   std::to_string(options.examples));
    Prompt prompt;
    topk::Status status = MakePrompt(*task, index, material, options, encode, prompt);
    if (!status.ok()) throw std::runtime_error(status.message());
    std::vector<Outcome> ways =
        reader.Read(*task, prompt, [&](double part, int64_t tokens) { narrator.Add(part, tokens); });
    done.push_back({.task = std::string(task->name),
                    .index = index,
                    .prompt_tokens = static_cast<int64_t>(prompt.tokens.size()),
                    .references = prompt.example.references,
                    .ways = std::move(ways)});
    if (status = SaveState(state_path, identity, done); !status.ok()) throw std::runtime_error(status.message());
  }
}

}  // namespace qwen_infer::tasks
