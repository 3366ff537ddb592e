#include "perf_hooks.h"

#include <mutex>
#include <string>
#include <utility>

#include "interpose.h"
#include "llama.h"

namespace qwen_infer {

namespace {

// One run a process.
struct Run {
  std::mutex mutex;
  std::function<void()> on_reset;
  std::function<void(const char*)> on_first_model;  // null once it was called
  llama_context* context = nullptr;                 // the main context while it lives
  bool any_context = false;                         // there is or was one
  bool any_context_starts = false;                  // see StartRunWithAnyContext
  bool has_main = false;     // its timings were reset: later contexts (draft models) do not take its place
  Timings timings;           // of the main context when it was freed
  Timings start;             // of the main context at RestartTimings; zeros if there was none
  std::string failed_model;  // path of the last model if it could not be loaded
};

Run& TheRun() {
  static Run* run = new Run;  // never freed: tools free contexts in static destructors
  return *run;
}

Timings TimingsOf(const llama_context* context) {
  const llama_perf_context_data data = llama_perf_context(context);
  // llama.cpp reports at least one token, even where no time was spent.
  Timings timings;
  if (data.t_p_eval_ms > 0) timings.prompt_tokens = data.n_p_eval;
  if (data.t_eval_ms > 0) timings.generated_tokens = data.n_eval;
  timings.prompt_seconds = data.t_p_eval_ms / 1e3;
  timings.generation_seconds = data.t_eval_ms / 1e3;
  return timings;
}

// Of the main context from its warm-up on. The mutex must be held.
Timings AllTimings(const Run& run) {
  if (run.context == nullptr) return run.timings;
  const Timings timings = TimingsOf(run.context);
  return timings.AnyTokens() ? timings : run.timings;
}

void BeforeModel(const char* path) {
  Run& run = TheRun();
  std::function<void(const char*)> callback;
  {
    const std::lock_guard lock(run.mutex);
    callback = std::exchange(run.on_first_model, nullptr);
  }
  if (callback) callback(path);
}

// The empty path: the last one was loaded.
void SetFailedModel(const char* path) {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.failed_model = path;
}

void ContextCreated(llama_context* context) {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.any_context = true;
  if (!run.has_main) run.context = context;
}

void TimingsReset(llama_context* context) {
  Run& run = TheRun();
  std::function<void()> callback;
  {
    const std::lock_guard lock(run.mutex);
    run.context = context;
    run.has_main = true;
    run.timings = {};
    run.start = {};
    callback = run.on_reset;
  }
  if (callback) callback();
}

void ContextFreed(const llama_context* context) {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  if (context == nullptr || context != run.context) return;
  const Timings timings = TimingsOf(context);
  if (timings.AnyTokens()) run.timings = timings;
  run.context = nullptr;
}

}  // namespace

void OnFirstModel(std::function<void(const char* path)> callback) {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.on_first_model = std::move(callback);
}

void OnTimingsReset(std::function<void()> callback) {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.on_reset = std::move(callback);
}

Timings RunTimings() {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  const Timings all = AllTimings(run);
  return {.prompt_tokens = all.prompt_tokens - run.start.prompt_tokens,
          .prompt_seconds = all.prompt_seconds - run.start.prompt_seconds,
          .generated_tokens = all.generated_tokens - run.start.generated_tokens,
          .generation_seconds = all.generation_seconds - run.start.generation_seconds};
}

void RestartTimings() {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.start = AllTimings(run);
}

void StartRunWithAnyContext() {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  run.any_context_starts = true;
}

bool RunStarted() {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  return run.has_main || (run.any_context_starts && run.any_context) || AllTimings(run).AnyTokens();
}

std::string ModelThatFailed() {
  Run& run = TheRun();
  const std::lock_guard lock(run.mutex);
  return run.failed_model;
}

}  // namespace qwen_infer

// See interpose.h.
extern "C" {

llama_model* llama_model_load_from_file(const char* path, llama_model_params params) {
  static auto* const kOriginal =
      qwen_infer::Original<decltype(llama_model_load_from_file)>("llama_model_load_from_file");
  qwen_infer::BeforeModel(path);
  llama_model* model = kOriginal(path, params);
  qwen_infer::SetFailedModel(model == nullptr ? path : "");
  return model;
}

llama_context* llama_init_from_model(llama_model* model, llama_context_params params) {
  static auto* const kOriginal = qwen_infer::Original<decltype(llama_init_from_model)>("llama_init_from_model");
  llama_context* context = kOriginal(model, params);
  if (context != nullptr) qwen_infer::ContextCreated(context);
  return context;
}

void llama_perf_context_reset(llama_context* ctx) {
  static auto* const kOriginal = qwen_infer::Original<decltype(llama_perf_context_reset)>("llama_perf_context_reset");
  kOriginal(ctx);
  qwen_infer::TimingsReset(ctx);
}

void llama_free(llama_context* ctx) {
  static auto* const kOriginal = qwen_infer::Original<decltype(llama_free)>("llama_free");
  qwen_infer::ContextFreed(ctx);
  kOriginal(ctx);
}
}
