#include "eval/tasks/run.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>
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

// The indices of the examples that are to be read.
std::vector<int64_t> MissingOf(const Task& task, const Options& options, const std::vector<Result>& done) {
  std::vector<int64_t> missing;
  for (int64_t index = 0; index < options.examples; ++index) {
    if (Find(done, task, index) == nullptr) missing.push_back(index);
  }
  return missing;
}

struct Question {
  int64_t index = 0;
  Prompt prompt;
};

// Sorted by their tokens: so each prompt has at least as much in common with the one before it as with any earlier one,
// and what prompts begin alike with is read once. All passkeys of a length stand in the same noise, for example: half
// of it need not be read.
std::vector<Question> InReadingOrder(const Task& task, const std::vector<int64_t>& indices, const Material& material,
                                     const Options& options, const Encoder& encode) {
  std::vector<Question> questions;
  for (const int64_t index : indices) {
    Question& question = questions.emplace_back(Question{.index = index, .prompt = {}});
    const uint64_t seed = SeedOf(options.seed, task.name, index);
    const topk::Status status = Fit(task, material, options.length, seed, encode, question.prompt);
    if (!status.ok()) throw std::runtime_error(status.message());
  }
  std::sort(questions.begin(), questions.end(), [](const Question& a, const Question& b) {
    return std::tie(a.prompt.tokens, a.index) < std::tie(b.prompt.tokens, b.index);
  });
  return questions;
}

// Read one after the other.
double CostOf(const Task& task, const std::vector<Question>& questions, const AnswerReader& reader) {
  double cost = 0;
  std::span<const Token> before;
  for (const Question& question : questions) {
    const std::vector<Token>& tokens = question.prompt.tokens;
    cost += reader.CostOf(task, tokens.size(), TokensKept(before, tokens));
    before = tokens;
  }
  return cost;
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
    for (int64_t index = 0; index < options.examples; ++index) {
      const uint64_t seed = SeedOf(options.seed, task->name, index);
      topk::Status status = CheckFit(*task, material, options.length, seed, encode);
      if (!status.ok()) return status;
    }
  }
  return {};
}

std::vector<Result> Wanted(const Options& options, const std::vector<Result>& done) {
  std::vector<Result> wanted;
  for (const Task* task : options.tasks) {
    for (int64_t index = 0; index < options.examples; ++index) {
      if (const Result* result = Find(done, *task, index); result != nullptr) wanted.push_back(*result);
    }
  }
  return wanted;
}

void RunExamples(const std::shared_ptr<Model>& model, const Material& material, const Options& options,
                 const eval::RunIdentity& identity, const std::string& state_path, const eval::Listener& listener,
                 std::vector<Result>& done) {
  std::vector<std::pair<const Task*, std::vector<int64_t>>> missing;
  for (const Task* task : options.tasks) {
    if (std::vector<int64_t> indices = MissingOf(*task, options, done); !indices.empty()) {
      missing.emplace_back(task, std::move(indices));
    }
  }
  if (missing.empty()) return;
  AnswerReader reader(model, options, listener.is_interrupted);
  const Encoder encode = EncoderOf(*model);
  const auto at_most = [&](const auto& of_task) {
    return static_cast<double>(of_task.second.size()) * reader.CostOf(*of_task.first);
  };
  double cost = 0;
  for (const auto& of_task : missing) cost += at_most(of_task);
  eval::Narrator narrator(listener.say, cost);
  for (const auto& of_task : missing) {
    const Task& task = *of_task.first;
    const std::vector<Question> questions = InReadingOrder(task, of_task.second, material, options, encode);
    narrator.Expect(CostOf(task, questions, reader) - at_most(of_task));
    int64_t n_done = options.examples - static_cast<int64_t>(questions.size());
    for (const Question& question : questions) {
      narrator.Begin(std::string(task.name) + " " + std::to_string(++n_done) + " of " +
                     std::to_string(options.examples));
      std::vector<Outcome> ways =
          reader.Read(task, question.prompt, [&](double part, int64_t tokens) { narrator.Add(part, tokens); });
      done.push_back({.task = std::string(task.name),
                      .index = question.index,
                      .prompt_tokens = static_cast<int64_t>(question.prompt.tokens.size()),
                      .references = question.prompt.example.references,
                      .ways = std::move(ways)});
      const topk::Status status = SaveState(state_path, identity, done);
      if (!status.ok()) throw std::runtime_error(status.message());
    }
  }
}

}  // namespace qwen_infer::tasks
