#include "end_to_end/contestant.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "plugin.h"
#include "shared/interrupted.h"
#include "shared/stopwatch.h"

namespace qwen_infer::end_to_end_bench {

namespace {

constexpr std::array<std::string_view, kWays.size()> kNames = {"stock_flash", "stock_products", "topk"};

// A function of ggml's CPU module, by its name.
template <typename Function>
Function* CpuFunction(const char* name) {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) throw std::runtime_error("ggml's CPU backend (libggml-cpu*.so) is not beside this program");
  void* function = ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name);
  if (function == nullptr) throw std::runtime_error(std::string("ggml's CPU backend has no ") + name);
  return reinterpret_cast<Function*>(function);
}

llama_context_params ContextParams(Way way, const Options& options, const std::atomic<bool>& stop) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(options.ContextSize());
  params.type_k = options.type_k;
  params.type_v = options.type_v;
  params.n_threads = options.threads;
  params.n_threads_batch = options.threads;
  params.swa_full = false;  // as llama-bench
  params.flash_attn_type = way == Way::kStockProducts ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.abort_callback = [](void* data) { return static_cast<const std::atomic<bool>*>(data)->load(); };
  params.abort_callback_data = const_cast<std::atomic<bool>*>(&stop);  // C has no const in its callbacks
  return params;
}

std::string Because(std::string_view what) {
  const std::string reason = LastError();
  return std::string(what) + (reason.empty() ? "" : ": " + reason);
}

}  // namespace

std::string_view NameOf(Way way) { return kNames[IndexOf(way)]; }

ThreadPool::ThreadPool(int n_threads)
    : pool_(nullptr, CpuFunction<decltype(ggml_threadpool_free)>("ggml_threadpool_free")) {
  ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
  pool_.reset(CpuFunction<decltype(ggml_threadpool_new)>("ggml_threadpool_new")(&params));
  if (pool_ == nullptr) throw std::runtime_error("ggml could not start " + std::to_string(n_threads) + " threads");
}

Contestant::Contestant(Way way, llama_model& model, const ThreadPool& pool, const Options& options,
                       const std::atomic<bool>& stop)
    : way_(way),
      stop_(&stop),
      n_vocab_(llama_vocab_n_tokens(llama_model_get_vocab(&model))),
      context_(llama_init_from_model(&model, ContextParams(way, options, stop))) {
  if (context_ == nullptr) {
    throw std::runtime_error("llama.cpp made no context of " + std::to_string(options.ContextSize()) +
                             " tokens: too little memory, or the model does not take these types of K and V");
  }
  llama_attach_threadpool(context_.get(), pool.get(), nullptr);
}

void Contestant::Decode(std::span<const llama_token> tokens) {
  if (*stop_) throw Interrupted();
  // llama.cpp reads them only; its batch is for both directions.
  auto* first = const_cast<llama_token*>(tokens.data());
  const int32_t code = llama_decode(context_.get(), llama_batch_get_one(first, static_cast<int32_t>(tokens.size())));
  llama_synchronize(context_.get());
  if (*stop_) throw Interrupted();
  if (code != 0) throw std::runtime_error(Because("llama.cpp could not compute (code " + std::to_string(code) + ")"));
}

double Contestant::Read(std::span<const llama_token> tokens) {
  const size_t batch = llama_n_batch(context_.get());
  const Stopwatch stopwatch;
  for (size_t begin = 0; begin < tokens.size(); begin += batch) {
    Decode(tokens.subspan(begin, std::min(batch, tokens.size() - begin)));
  }
  return stopwatch.Seconds();
}

double Contestant::Generate(std::span<const llama_token> tokens) {
  const Stopwatch stopwatch;
  for (size_t i = 0; i < tokens.size(); ++i) Decode(tokens.subspan(i, 1));
  return stopwatch.Seconds();
}

std::span<const float> Contestant::Logits() {
  const float* logits = llama_get_logits_ith(context_.get(), -1);
  if (logits == nullptr) throw std::runtime_error("llama.cpp gave no logits");
  return {logits, static_cast<size_t>(n_vocab_)};
}

}  // namespace qwen_infer::end_to_end_bench
