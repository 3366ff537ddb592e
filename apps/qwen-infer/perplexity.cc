// qwen-infer perplexity: how well the model predicts a text; llama-perplexity.
#include "run.h"
#include "subcommands.h"

int llama_perplexity(int argc, char** argv);

namespace qwen_infer {

int RunPerplexity(Arguments arguments) {
  return RunTool(
      {.name = "perplexity",
       .summary = "measure how well the model predicts a text",
       .example = "-m model.gguf -f text.txt -c 4096 --chunks 1 --use_top_k_attention --top_k_attention_k 64",
       .entry = llama_perplexity,
       .timings = LlamaTimings::kWrong},
      arguments);
}

}  // namespace qwen_infer
