// What a run of one of llama.cpp's tools has measured. The tools print their token rates and keep them to themselves,
// and they decode a warm-up batch that does not belong to the run. Both are visible at functions of llama.h that every
// tool calls: llama_model_load_from_file, llama_init_from_model, llama_perf_context_reset (after the warm-up) and
// llama_free. llama.cpp is a set of shared libraries, and ELF resolves a shared library's calls to the executable's own
// definition of a function first: those that perf_hooks.cc defines look, and pass on to llama.cpp's.
#ifndef QWEN_INFER_APPS_PERF_HOOKS_H_
#define QWEN_INFER_APPS_PERF_HOOKS_H_

#include <cstdint>
#include <functional>
#include <string>

namespace qwen_infer {

// Of one llama_context, since its warm-up or RestartTimings. Prompt tokens are those decoded in batches of two or more.
struct Timings {
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;
  int64_t generated_tokens = 0;
  double generation_seconds = 0;

  bool AnyTokens() const { return prompt_tokens + generated_tokens > 0; }
};

// Has `callback` called with the file of the first model, the run's main one, before llama.cpp loads it: by then one
// that was named on the hub is there. From the thread that does so. Before the run.
void OnFirstModel(std::function<void(const char* path)> callback);

// Has `callback` called each time that llama.cpp starts its timings anew, from the thread that does so. Before the run.
void OnTimingsReset(std::function<void()> callback);

// The run's main context: the one whose timings were reset last or, in tools that never reset them, the newest one that
// decoded a token. While it decodes, the figures may be those of a moment ago. From any thread.
Timings RunTimings();

// Has RunTimings count from here on. llama.cpp's own timings go on: they belong to the thread that decodes. From any
// thread.
void RestartTimings();

// Has RunStarted take any context for the start of the run: for tools that neither reset the timings nor have llama.cpp
// take any. llama.cpp creates some contexts to try out how much memory they need, so this may be before the model is
// loaded.
void StartRunWithAnyContext();

// Whether the run ever had a context that was ready for its input, that is, whether its model was loaded.
bool RunStarted();

// The file of the last model that llama.cpp was to load, if it could not; else empty.
std::string ModelThatFailed();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_PERF_HOOKS_H_
