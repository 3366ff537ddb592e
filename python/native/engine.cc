// _qwen_engine: models, sessions and generation for the package qwen_infer. Arguments are checked there.
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ggml/settings.h"
#include "qwen_infer/engine.h"

namespace nb = nanobind;

namespace qwen_infer::python {

namespace {

// Whether Python has a signal to handle, such as Ctrl-C; its exception is then set on this thread.
bool HasSignal() {
  const nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

// Runs `compute` without the GIL. If a signal's handler raised meanwhile, that is what is thrown.
template <typename Compute>
auto WithoutGil(const Compute& compute) {
  using Result = decltype(compute());
  std::optional<Result> result;
  std::exception_ptr error;
  {
    const nb::gil_scoped_release release;
    try {
      result.emplace(compute());
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  if (error != nullptr) std::rethrow_exception(error);
  return std::move(*result);
}

// Stands for the nothing that a call returns.
struct Nothing {};

// What a run has measured, by name.
nb::dict DictOf(const GenerationStatistics& statistics, FinishReason reason) {
  nb::dict dict;
  dict["finish_reason"] = std::string(NameOf(reason));
  dict["prompt_tokens"] = statistics.prompt_tokens;
  dict["cached_tokens"] = statistics.cached_tokens;
  dict["prompt_seconds"] = statistics.prompt_seconds;
  dict["generated_tokens"] = statistics.generated_tokens;
  dict["generation_seconds"] = statistics.generation_seconds;
  return dict;
}

GenerateOptions MakeOptions(int64_t max_new_tokens, float temperature, float top_p, int top_k, float min_p,
                            float repetition_penalty, std::vector<std::string> stop, std::optional<uint32_t> seed) {
  GenerateOptions options;
  options.max_new_tokens = max_new_tokens;
  options.sampling = {.temperature = temperature,
                      .top_p = top_p,
                      .top_k = top_k,
                      .min_p = min_p,
                      .repetition_penalty = repetition_penalty,
                      .seed = seed};
  options.stop = std::move(stop);
  return options;
}

// A session that several threads of Python may share: their calls wait for each other.
class SharedSession {
 public:
  SharedSession(std::shared_ptr<Model> model, int64_t context_length, const std::string& cache_type, int n_threads)
      : session_(std::move(model),
                 {.context_length = context_length, .cache_type = ParseCacheType(cache_type), .n_threads = n_threads}) {
    session_.SetInterruptCheck(HasSignal);
  }

  // Runs `compute(session)` without the GIL, alone.
  template <typename Compute>
  auto Run(const Compute& compute) {
    return WithoutGil([&] {
      const std::lock_guard lock(mutex_);
      return compute(session_);
    });
  }

 private:
  std::mutex mutex_;
  Session session_;
};

// An answer whose pieces are asked for one by one.
class SharedGeneration {
 public:
  SharedGeneration(std::shared_ptr<SharedSession> session, const std::string& prompt, const GenerateOptions& options)
      : session_(std::move(session)),
        generation_(session_->Run([&](Session& its) { return its.Start(prompt, options); })) {}

  std::optional<std::string> Next() {
    return session_->Run([&](Session& /*its*/) { return generation_.Next(); });
  }

  nb::dict Statistics() const { return DictOf(generation_.statistics(), generation_.finish_reason()); }

 private:
  std::shared_ptr<SharedSession> session_;
  Generation generation_;
};

std::shared_ptr<Model> LoadModel(const std::string& path, std::optional<std::string> top_k_attention,
                                 bool flash_attention) {
  ModelOptions options;
  options.path = path;
  options.top_k_attention = std::move(top_k_attention);
  options.flash_attention = flash_attention;
  options.on_progress = [](float /*share*/) { return !HasSignal(); };
  return WithoutGil([&] { return Model::Load(options); });
}

std::vector<std::map<std::string, std::string>> AttentionSettings() {
  std::vector<std::map<std::string, std::string>> fields;
  for (const topk::OptionField& field : SettingFields()) {
    fields.push_back({{"name", std::string(field.name)},
                      {"type", std::string(field.type)},
                      {"range", std::string(field.range)},
                      {"default", DefaultValue(field.name)},
                      {"sentence", std::string(field.sentence)},
                      {"off_sentence", std::string(field.off_sentence)}});
  }
  return fields;
}

void BindModel(nb::module_& module) {
  nb::class_<Model>(module, "Model")
      .def_prop_ro("path", &Model::path)
      .def_prop_ro("description", &Model::description)
      .def_prop_ro("n_parameters", &Model::n_parameters)
      .def_prop_ro("size_bytes", &Model::size_bytes)
      .def_prop_ro("n_layer", &Model::n_layer)
      .def_prop_ro("trained_context_length", &Model::trained_context_length)
      .def_prop_ro("has_chat_template", &Model::has_chat_template)
      .def("tokenize", &Model::Tokenize, nb::arg("text"), nb::arg("add_special"), nb::arg("parse_special"))
      .def(
          "detokenize", [](const Model& model, const std::vector<Token>& tokens) { return model.Detokenize(tokens); },
          nb::arg("tokens"))
      .def(
          "apply_chat_template",
          [](const Model& model, const std::vector<std::pair<std::string, std::string>>& messages,
             std::optional<bool> enable_thinking) {
            std::vector<ChatMessage> chat;
            for (const auto& [role, content] : messages) chat.push_back({role, content});
            const ChatPrompt prompt = model.ApplyChatTemplate(chat, {.enable_thinking = enable_thinking});
            return std::pair(prompt.text, prompt.stop);
          },
          nb::arg("messages"), nb::arg("enable_thinking").none())
      .def_prop_ro("has_top_k_attention", &Model::has_top_k_attention)
      .def_prop_ro("attention", &Model::attention)
      .def("set_attention", &Model::SetAttention, nb::arg("settings"))
      .def("attention_statistics", &Model::AttentionStatisticsJson)
      .def("reset_attention_statistics", &Model::ResetAttentionStatistics);
  module.def("load_model", LoadModel, nb::arg("path"), nb::arg("top_k_attention").none(), nb::arg("flash_attention"));
}

void BindModelFiles(nb::module_& module) {
  module.def(
      "quantize",
      [](const std::string& path, const std::string& type, const std::string& output) {
        const nb::gil_scoped_release release;
        Quantize(path, ParseWeightType(type), output);
      },
      nb::arg("path"), nb::arg("type"), nb::arg("output"));
  module.def(
      "check_model_file",
      [](const std::string& path) {
        const nb::gil_scoped_release release;
        CheckModelFile(path);
      },
      nb::arg("path"));
}

void BindSession(nb::module_& module) {
  [[maybe_unused]] const nb::class_<GenerateOptions> options(module, "GenerateOptions");
  module.def("generate_options", MakeOptions, nb::arg("max_new_tokens"), nb::arg("temperature"), nb::arg("top_p"),
             nb::arg("top_k"), nb::arg("min_p"), nb::arg("repetition_penalty"), nb::arg("stop"),
             nb::arg("seed").none());

  nb::class_<SharedGeneration>(module, "Generation")
      .def("next", &SharedGeneration::Next)
      .def_prop_ro("statistics", &SharedGeneration::Statistics);

  nb::class_<SharedSession>(module, "Session")
      .def(nb::init<std::shared_ptr<Model>, int64_t, const std::string&, int>(), nb::arg("model"),
           nb::arg("context_length"), nb::arg("kv_cache_type"), nb::arg("num_threads"))
      .def_prop_ro(
          "context_length",
          [](SharedSession& session) { return session.Run([](Session& its) { return its.context_length(); }); })
      .def_prop_ro("num_threads",
                   [](SharedSession& session) { return session.Run([](Session& its) { return its.n_threads(); }); })
      .def_prop_ro("n_tokens",
                   [](SharedSession& session) { return session.Run([](Session& its) { return its.tokens().size(); }); })
      .def("clear",
           [](SharedSession& session) {
             session.Run([](Session& its) {
               its.Clear();
               return Nothing();
             });
           })
      .def(
          "start",
          [](std::shared_ptr<SharedSession> session, const std::string& prompt, const GenerateOptions& options) {
            return std::make_shared<SharedGeneration>(std::move(session), prompt, options);
          },
          nb::arg("prompt"), nb::arg("options"))
      .def(
          "generate",
          [](SharedSession& session, const std::string& prompt, const GenerateOptions& options) {
            const GenerationResult result = session.Run([&](Session& its) { return its.Generate(prompt, options); });
            return std::pair(result.text, DictOf(result.statistics, result.finish_reason));
          },
          nb::arg("prompt"), nb::arg("options"))
      .def(
          "generate_batch",
          [](SharedSession& session, const std::vector<std::string>& prompts, const GenerateOptions& options) {
            const std::vector<GenerationResult> results =
                session.Run([&](Session& its) { return its.GenerateBatch(prompts, options); });
            std::vector<std::pair<std::string, nb::dict>> answers;
            for (const GenerationResult& result : results) {
              answers.emplace_back(result.text, DictOf(result.statistics, result.finish_reason));
            }
            return answers;
          },
          nb::arg("prompts"), nb::arg("options"))
      .def(
          "perplexity",
          [](SharedSession& session, const std::string& text, int64_t window) {
            const PerplexityResult result =
                session.Run([&](Session& its) { return its.Perplexity(text, {.window = window}); });
            return std::tuple(result.perplexity, result.tokens, result.log_likelihood);
          },
          nb::arg("text"), nb::arg("window"))
      .def(
          "save",
          [](SharedSession& session, const std::string& path) {
            session.Run([&](Session& its) {
              its.Save(path);
              return Nothing();
            });
          },
          nb::arg("path"))
      .def(
          "load",
          [](SharedSession& session, const std::string& path) {
            session.Run([&](Session& its) {
              its.Load(path);
              return Nothing();
            });
          },
          nb::arg("path"));
}

}  // namespace

}  // namespace qwen_infer::python

NB_MODULE(_qwen_engine, module) {
  module.doc() = "Language models on llama.cpp with exact top-k attention; qwen_infer.Qwen3Inference is made of it";
  nb::register_exception_translator([](const std::exception_ptr& error, void* /*unused*/) {
    try {
      std::rethrow_exception(error);
    } catch (const qwen_infer::FileError& file_error) {
      PyErr_SetString(PyExc_OSError, file_error.what());
    }
  });
  qwen_infer::SetLogLevel(qwen_infer::LogLevel::kErrors);
  module.def(
      "set_verbose",
      [](bool verbose) {
        qwen_infer::SetLogLevel(verbose ? qwen_infer::LogLevel::kAll : qwen_infer::LogLevel::kErrors);
      },
      nb::arg("verbose"));
  module.def("attention_settings", qwen_infer::python::AttentionSettings,
             "The settings of top-k attention: name, type, range, default and a sentence each.");
  qwen_infer::python::BindModel(module);
  qwen_infer::python::BindModelFiles(module);
  qwen_infer::python::BindSession(module);
}
