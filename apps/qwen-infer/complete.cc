// qwen-infer complete: continues a prompt; llama-completion.
#include "log.h"
#include "perf_hooks.h"
#include "plugin.h"
#include "run.h"
#include "subcommands.h"

int llama_completion(int argc, char** argv);

namespace qwen_infer {

namespace {

// llama-completion logs why it refuses a prompt, and not what to do.
int Complete(int argc, char** argv) {
  constexpr int kNoPrompt = -1;
  const int code = llama_completion(argc, argv);
  common_log_flush(common_log_main());
  if (code == kNoPrompt) {
    PrintError("there is no prompt to continue: give one with -p TEXT or -f FILE");
    return kExitFailure;
  }
  const bool refused = code == kExitFailure && RunStarted() && !RunTimings().AnyTokens() && LastError().empty();
  if (refused) PrintError("nothing was computed, see above; for a prompt that is too long, -c N makes room");
  return code;
}

}  // namespace

int RunComplete(Arguments arguments) {
  return RunTool(
      {.name = "complete",
       .summary = "continue a prompt, or answer it if the model has a chat template and wait for the next (-st ends "
                  "then, -no-cnv only continues)",
       .example = "-m model.gguf -f long.txt -n 64 -st --use_top_k_attention --top_k_attention_stats stats.json",
       .entry = Complete},
      arguments);
}

}  // namespace qwen_infer
