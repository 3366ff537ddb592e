// Language models with top-k attention, for programs in C++: a model is loaded once, and each session on it reads and
// generates text. Everything but the attention is llama.cpp's.
//
//   auto model = qwen_infer::Model::Load({.path = "model.gguf", .top_k_attention = "k=256"});
//   qwen_infer::Session session(model, {.context_length = 8192});
//   session.Generate("Once upon a time", {.max_new_tokens = 64}, [](std::string_view text) {
//     std::cout << text << std::flush;
//     return true;
//   });
//
// Errors are exceptions: std::invalid_argument for a bad value, FileError for a file that is missing, damaged or of
// another model, std::runtime_error for all else. Each message names the value and what to do. A session stays usable
// after an exception and after an interruption, and whatever it then holds is right.
//
// A model may be used from several threads, a session from one at a time. Needs libllama, and ggml's CPU module beside
// it.
#ifndef QWEN_INFER_ENGINE_H_
#define QWEN_INFER_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "qwen_infer/statistics.h"

namespace qwen_infer {

using Token = int32_t;

class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// llama.cpp's messages: kErrors keeps them for the exceptions and prints nothing, kAll prints them to stderr as well.
// Of the whole process. A program that does not call it has llama.cpp's own log.
enum class LogLevel { kErrors, kAll };
void SetLogLevel(LogLevel level);

// ---- model ----

struct ModelOptions {
  std::string path = {};  // of a GGUF file
  // Settings of top-k attention in the form of TOPK_ATTENTION, "k=256,sinks=4" or "profile=FILE"; "" takes the
  // defaults, nothing leaves attention as llama.cpp has it. Needs flash attention, the operation that it takes the
  // place of.
  std::optional<std::string> top_k_attention = std::nullopt;
  bool flash_attention = true;
  // Called with 0 to 1 while weights are read; false ends that with a std::runtime_error.
  std::function<bool(float)> on_progress = nullptr;
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", or what else the model's template knows
  std::string content;
};

struct ChatOptions {
  std::optional<bool> enable_thinking = std::nullopt;  // for models that can do both; unset: the template's
  bool add_generation_prompt = true;                   // end with the start of an answer
};

// What a chat looks like to the model.
struct ChatPrompt {
  std::string text;
  std::vector<std::string> stop;  // strings that end an answer, besides the model's own end-of-text tokens
};

class Model {
 public:
  static std::shared_ptr<Model> Load(const ModelOptions& options);
  ~Model();

  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const std::string& path() const;
  std::string description() const;  // "qwen2 0.5B Q4_K - Medium"
  int64_t n_parameters() const;
  int64_t size_bytes() const;
  int64_t n_layer() const;
  int64_t trained_context_length() const;

  std::vector<Token> Tokenize(std::string_view text, bool add_special = true, bool parse_special = true) const;
  std::string Detokenize(std::span<const Token> tokens) const;

  bool has_chat_template() const;
  // Throws std::invalid_argument if the model has no template, or if the template refuses the messages or passes over a
  // role that it does not know.
  ChatPrompt ApplyChatTemplate(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;

  // Top-k attention of all sessions of this model; the first tells whether it has any, and the others throw
  // std::invalid_argument if not. Settings may change at any time: they hold from the next pass on.
  bool has_top_k_attention() const;
  std::string attention() const;                             // all settings, in the form of ModelOptions
  void SetAttention(std::string_view settings);              // those that are named change: "k=128"
  void ReplaceAttention(std::string_view settings);          // those that are not named get their defaults
  std::vector<LayerStatistics> AttentionStatistics() const;  // ascending by layer
  LayerStatistics AttentionTotal() const;                    // summed over layers
  std::string AttentionStatisticsJson() const;               // as GET /topk/stats has them
  void ResetAttentionStatistics();

  class Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// ---- model files ----

// Types of weights that Quantize makes: about 8.5 and 4.8 bits a weight.
enum class WeightType { kQ8_0, kQ4_K_M };
// "Q8_0"; throws std::invalid_argument, naming all, for one that is none.
WeightType ParseWeightType(std::string_view name);

// Writes a copy of a GGUF file with smaller weights to `output`, on all cores; `output` is not complete before it
// returns. Cannot be interrupted.
void Quantize(const std::string& path, WeightType type, const std::string& output);

// Throws FileError unless llama.cpp would load the file: its description is whole, and its tensors are those that the
// description asks for, with the shapes that it asks for. Reads no weights.
void CheckModelFile(const std::string& path);

// ---- session ----

enum class CacheType { kF32, kF16, kBF16, kQ8_0 };
// "f16"; throws std::invalid_argument, naming all, for one that is none.
CacheType ParseCacheType(std::string_view name);

struct SessionOptions {
  int64_t context_length = 0;  // tokens that prompt and answer may have; 0: kDefaultContextLength, or less if the
                               // model was trained with less
  CacheType cache_type = CacheType::kF16;
  int n_threads = 0;  // 0: one for each core
};
inline constexpr int64_t kDefaultContextLength = 8192;

struct SamplingOptions {
  float temperature = 0.8F;                     // 0: always the most likely token
  float top_p = 0.95F;                          // 1: off
  int top_k = 40;                               // 0: off
  float min_p = 0.05F;                          // 0: off
  float repetition_penalty = 1.0F;              // over the last 64 tokens; 1: off
  std::optional<uint32_t> seed = std::nullopt;  // unset: another one each time
};

struct GenerateOptions {
  int64_t max_new_tokens = 512;
  SamplingOptions sampling = {};
  std::vector<std::string> stop = {};  // the answer ends before the first of these
};

enum class FinishReason {
  kNotFinished,
  kEndOfText,    // the model's own
  kStop,         // one of GenerateOptions::stop
  kLength,       // max_new_tokens
  kContextFull,  // context_length
  kCancelled     // the callback or the interrupt check said so
};
std::string_view NameOf(FinishReason reason);  // "end_of_text", "stop", "length", "context_full", "cancelled"

struct GenerationStatistics {
  int64_t prompt_tokens = 0;  // of the prompt, as far as it was read
  int64_t cached_tokens = 0;  // those of the prompt that were in the session already
  double prompt_seconds = 0;  // spent on the others
  int64_t generated_tokens = 0;
  double generation_seconds = 0;
};

struct GenerationResult {
  std::string text;  // always valid UTF-8
  FinishReason finish_reason = FinishReason::kNotFinished;
  GenerationStatistics statistics;
};

struct PerplexityOptions {
  int64_t window = 0;  // tokens that one pass reads; 0: the session's context length
};

struct PerplexityResult {
  double perplexity = 0;
  int64_t tokens = 0;         // that were predicted
  double log_likelihood = 0;  // their sum, natural logarithm
};

class Session;

// An answer in the making. Belongs to its session; the next call that changes the session ends it.
class Generation {
 public:
  ~Generation();
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;

  // The next piece of the answer, complete characters; nothing once it is finished. The first call reads the prompt.
  std::optional<std::string> Next();

  FinishReason finish_reason() const;
  const GenerationStatistics& statistics() const;

 private:
  friend class Session;
  class Impl;
  explicit Generation(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

class Session {
 public:
  explicit Session(std::shared_ptr<Model> model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  const Model& model() const;
  int64_t context_length() const;
  int n_threads() const;
  // What was read and generated so far. A prompt that begins with the same tokens is read from where it differs.
  std::span<const Token> tokens() const;
  void Clear();

  // Asked some ten times a second during everything that takes long, on the thread that called; true ends the call with
  // what is there (FinishReason::kCancelled), or with Cancelled where that would make no sense.
  void SetInterruptCheck(std::function<bool()> is_interrupted);

  // Throws std::invalid_argument if the prompt is empty, no UTF-8 or longer than the context, or an option is wrong.
  Generation Start(std::string_view prompt, const GenerateOptions& options);

  // `on_text` gets each piece and returns whether to go on; may be null.
  GenerationResult Generate(std::string_view prompt, const GenerateOptions& options,
                            const std::function<bool(std::string_view)>& on_text = nullptr);

  // One answer for each prompt. Up to kMaxParallel of them are computed at once, which takes little longer than one. In
  // a cache of its own for that time: the session's is neither used nor changed. A batch computes in another order
  // than a single prompt, so that the last bits differ and now and then a token that was a close call.
  std::vector<GenerationResult> GenerateBatch(std::span<const std::string> prompts, const GenerateOptions& options);
  static constexpr size_t kMaxParallel = 8;

  // exp of the mean negative log likelihood of each token of the text given what is before it. A text longer than the
  // window is read in windows that overlap by half, so that each token but those of the first window has half a window
  // or more before it. In a cache of its own, as GenerateBatch.
  PerplexityResult Perplexity(std::string_view text, const PerplexityOptions& options = {});

  // What the session holds, in a file: whole or not at all. `note` is the program's own, such as the messages of a
  // chat; Load returns it. Save refuses to replace a file that is no session. Load refuses, changing nothing, a file
  // that is damaged, of another model or another type of cache, or that has more tokens than the context.
  void Save(const std::string& path, std::string_view note = {}) const;
  std::string Load(const std::string& path);

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Thrown by what cannot return a part of its result when the interrupt check ends it.
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("cancelled") {}
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_ENGINE_H_
