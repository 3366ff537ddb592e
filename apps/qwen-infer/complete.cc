// qwen-infer complete: continues a prompt; llama-completion.
#include "run.h"
#include "subcommands.h"

int llama_completion(int argc, char** argv);

namespace qwen_infer {

int RunComplete(Arguments arguments) {
  return RunTool(
      {.name = "complete",
       .summary = "continue a prompt, or answer it if the model has a chat template and wait for the next (-st ends "
                  "then, -no-cnv only continues)",
       .example = "-m model.gguf -f long.txt -n 64 -st --use_top_k_attention --top_k_attention_stats stats.json",
       .entry = llama_completion},
      arguments);
}

}  // namespace qwen_infer
