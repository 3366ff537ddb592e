// What a run of one of llama.cpp's tools has measured. The tools print their token rates and keep them to themselves, and
// they decode a warm-up batch that does not belong to the run. Both are visible at three functions of llama.h that every
// tool calls: llama_init_from_model, llama_perf_context_reset (after the warm-up) and llama_free. llama.cpp is a set of
// shared libraries, and ELF resolves a shared library's calls to the executable's own definition of a function first: the
// three that perf_hooks.cc defines look, and pass on to llama.cpp's.
#ifndef QWEN_INFER_APPS_PERF_HOOKS_H_
#define QWEN_INFER_APPS_PERF_HOOKS_H_

#include <cstdint>
#include <functional>

namespace qwen_infer {

// Of one llama_context, since its warm-up. Prompt tokens are those decoded in batches of two or more.
struct Timings {
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;
  int64_t generated_tokens = 0;
  double generation_seconds = 0;

  bool AnyTokens() const { return prompt_tokens + generated_tokens > 0; }
};

// Has `callback` called each time that llama.cpp starts its timings anew, from the thread that does so. Before the run.
void OnTimingsReset(std::function<void()> callback);

// The run's main context: the one whose timings were reset last or, in tools that never reset them, the newest one that
// decoded a token. While it decodes, the figures may be those of a moment ago. From any thread.
Timings RunTimings();

// Whether the run ever had a context that was ready for its input, that is, whether its model was loaded. Of a tool that
// neither resets its timings nor has llama.cpp take any, this cannot be told: see AnyContextCreated.
bool RunStarted();

// Whether there ever was a context. llama.cpp creates some to try out how much memory they need, so this may be before
// the model is loaded.
bool AnyContextCreated();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_PERF_HOOKS_H_
