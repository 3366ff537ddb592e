#include <common.h>

#include <array>
#include <exception>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/backends.h"
#include "engine/chat_roles.h"
#include "engine/log.h"
#include "engine/model_check.h"
#include "engine/model_file.h"
#include "engine/model_impl.h"
#include "engine/text_stream.h"
#include "engine/weight_layout.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

void ThrowUnless(const topk::Status& status) {
  if (!status.ok()) throw std::invalid_argument("top-k attention: " + status.message());
}

std::unique_ptr<TopKContexts> MakeTopK(const std::string& text, const std::string& model_path) {
  Settings settings;
  if (!text.empty()) ThrowUnless(ParseSettings(text, settings));
  ThrowUnless(CheckFitsModel(settings, model_path));
  std::unique_ptr<TopKContexts> top_k;
  ThrowUnless(TopKContexts::Create(settings, top_k));
  return top_k;
}

// llama.cpp says little about files that are no models at all.
void ThrowIfNoModel(const std::string& path) {
  if (const std::string reason = WhyNoModel(path); !reason.starts_with("the file is damaged")) {
    throw FileError("cannot load the model " + path + ": " + reason);
  }
}

llama_model_params CpuParams() {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  return params;
}

[[noreturn]] void ThrowNotLoaded(const std::string& path) {
  throw FileError(WithErrors("cannot load the model " + path + ": " + WhyNoModel(path)));
}

llama_model_ptr LoadWeights(const ModelOptions& options) {
  llama_model_params params = CpuParams();
  if (CpuCopiesWeights(options.path)) params.load_mode = LLAMA_LOAD_MODE_NONE;  // reads them, maps nothing
  // An exception must not cross llama.cpp, which is told to stop instead.
  struct Progress {
    const std::function<bool(float)>& callback;
    bool cancelled = false;
    std::exception_ptr error;
  } progress = {options.on_progress, false, nullptr};
  params.progress_callback = [](float share, void* data) {
    auto& state = *static_cast<Progress*>(data);
    try {
      state.cancelled = state.callback != nullptr && !state.callback(share);
    } catch (...) {
      state.error = std::current_exception();
      state.cancelled = true;
    }
    return !state.cancelled;
  };
  params.progress_callback_user_data = &progress;
  ForgetErrors();
  llama_model_ptr model(llama_model_load_from_file(options.path.c_str(), params));
  if (progress.error != nullptr) std::rethrow_exception(progress.error);
  if (progress.cancelled) throw Cancelled();
  if (model == nullptr) ThrowNotLoaded(options.path);
  if (llama_model_has_encoder(model.get()) || !llama_model_has_decoder(model.get())) {
    throw FileError("the model " + options.path + " is not of the kind that continues a text");
  }
  return model;
}

common_chat_params Apply(const common_chat_templates* templates, const common_chat_templates_inputs& inputs) {
  try {
    return common_chat_templates_apply(templates, inputs);
  } catch (const std::exception& error) {
    throw std::invalid_argument(std::string("the model's chat template refuses the messages: ") + error.what());
  }
}

void ThrowIfARoleIsPassedOver(const common_chat_templates* templates, const common_chat_templates_inputs& inputs) {
  std::set<std::string> tried;
  for (const common_chat_msg& message : inputs.messages) {
    if (IsUsualRole(message.role) || !tried.insert(message.role).second) continue;
    common_chat_templates_inputs probe = inputs;
    for (common_chat_msg& one : probe.messages) {
      if (one.role == message.role) one.content = kRoleMarker;
    }
    if (Apply(templates, probe).prompt.find(kRoleMarker) == std::string::npos) {
      throw std::invalid_argument(PassedOver(message.role));
    }
  }
}

}  // namespace

// ---- Model::Impl ----

Model::Impl::Impl(const ModelOptions& options) : path(options.path), flash_attention(options.flash_attention) {
  if (options.path.empty()) throw std::invalid_argument("a model needs the path of a GGUF file");
  if (options.top_k_attention && !options.flash_attention) {
    throw std::invalid_argument(
        "top-k attention takes the place of flash attention, which is off: turn it on, or leave top-k attention out");
  }
  EnsureBackends();
  if (options.top_k_attention) top_k = MakeTopK(*options.top_k_attention, options.path);
  ThrowIfNoModel(options.path);
  llama_ = LoadWeights(options);
  fingerprint = Fingerprint(options.path);
  try {
    templates = common_chat_templates_init(llama_.get(), "");
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the model still completes text
  }
}

llama_context_ptr Model::Impl::MakeContext(llama_context_params params, bool full_attention) const {
  params.flash_attn_type = flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.offload_kqv = false;
  params.op_offload = false;
  llama_context_ptr context;
  const auto make = [&] { context.reset(llama_init_from_model(llama_.get(), params)); };
  if (top_k != nullptr && !full_attention) {
    top_k->MakeContext(make);
  } else {
    MakeContextWithoutTopK(make);
  }
  return context;
}

void Model::Impl::TakeSettings(std::string_view text, Settings base) const {
  ThrowUnless(ParseSettings(text, base));
  ThrowUnless(CheckFitsModel(base, path));
  ThrowUnless(TopK().SetSettings(base));
}

TopKContexts& Model::Impl::TopK() const {
  if (top_k == nullptr) throw std::invalid_argument("the model " + path + " was loaded without top-k attention");
  return *top_k;
}

// ---- Model ----

std::shared_ptr<Model> Model::Load(const ModelOptions& options) {
  return std::shared_ptr<Model>(new Model(std::make_unique<Impl>(options)));
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const std::string& Model::path() const { return impl_->path; }

std::string Model::description() const {
  std::array<char, 256> text = {};
  llama_model_desc(&impl_->llama(), text.data(), text.size());
  return text.data();
}

int64_t Model::n_parameters() const { return static_cast<int64_t>(llama_model_n_params(&impl_->llama())); }
int64_t Model::size_bytes() const { return static_cast<int64_t>(llama_model_size(&impl_->llama())); }
int64_t Model::n_layer() const { return llama_model_n_layer(&impl_->llama()); }
int64_t Model::trained_context_length() const { return llama_model_n_ctx_train(&impl_->llama()); }

std::vector<Token> Model::Tokenize(std::string_view text, bool add_special, bool parse_special) const {
  if (const size_t valid = ValidUtf8(text); valid != text.size()) {
    throw std::invalid_argument("the text is not UTF-8: byte " + std::to_string(valid) + " begins no character");
  }
  return common_tokenize(&impl_->vocab(), std::string(text), add_special, parse_special);
}

std::string Model::Detokenize(std::span<const Token> tokens) const {
  const int32_t n_vocab = llama_vocab_n_tokens(&impl_->vocab());
  for (const Token token : tokens) {
    if (token < 0 || token >= n_vocab) {
      throw std::invalid_argument("token " + std::to_string(token) + " is not from 0 to " +
                                  std::to_string(n_vocab - 1));
    }
  }
  TextStream stream({});
  std::string text = stream.Add(common_detokenize(&impl_->vocab(), {tokens.begin(), tokens.end()}));
  return text + stream.Finish();
}

bool Model::has_chat_template() const {
  return impl_->templates != nullptr && common_chat_templates_was_explicit(impl_->templates.get());
}

ChatPrompt Model::ApplyChatTemplate(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  if (!has_chat_template()) {
    throw std::invalid_argument("the model " + impl_->path +
                                " has no chat template that llama.cpp can read: it continues text only");
  }
  if (messages.empty()) throw std::invalid_argument("a chat needs a message");
  common_chat_templates_inputs inputs;
  for (const ChatMessage& message : messages) {
    if (message.role.empty()) throw std::invalid_argument("a message of the chat has no role");
    common_chat_msg& msg = inputs.messages.emplace_back();
    msg.role = message.role;
    msg.content = message.content;
  }
  inputs.add_generation_prompt = options.add_generation_prompt;
  if (options.enable_thinking) inputs.enable_thinking = *options.enable_thinking;
  common_chat_params params = Apply(impl_->templates.get(), inputs);
  ThrowIfARoleIsPassedOver(impl_->templates.get(), inputs);
  return {.text = std::move(params.prompt), .stop = std::move(params.additional_stops)};
}

bool Model::has_top_k_attention() const { return impl_->top_k != nullptr; }

std::string Model::attention() const { return FormatSettings(impl_->TopK().settings()); }

void Model::SetAttention(std::string_view settings) { impl_->TakeSettings(settings, impl_->TopK().settings()); }

void Model::ReplaceAttention(std::string_view settings) { impl_->TakeSettings(settings, Settings()); }

std::vector<LayerStatistics> Model::AttentionStatistics() const { return impl_->TopK().GetStatistics(); }
LayerStatistics Model::AttentionTotal() const { return Total(impl_->TopK().GetStatistics()); }
std::string Model::AttentionStatisticsJson() const { return impl_->TopK().StatisticsJson().dump(); }
void Model::ResetAttentionStatistics() { impl_->TopK().ResetStatistics(); }

// ---- model files ----

void CheckModelFile(const std::string& path) {
  EnsureBackends();
  ThrowIfNoModel(path);
  llama_model_params params = CpuParams();
  params.no_alloc = true;
  params.load_mode = LLAMA_LOAD_MODE_NONE;  // nothing is mapped or read either
  ForgetErrors();
  const llama_model_ptr model(llama_model_load_from_file(path.c_str(), params));
  if (model == nullptr) ThrowNotLoaded(path);
}

}  // namespace qwen_infer
