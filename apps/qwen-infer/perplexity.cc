// qwen-infer perplexity: how well the model predicts a text; llama-perplexity.
#include "log.h"
#include "perf_hooks.h"
#include "run.h"
#include "subcommands.h"

int llama_perplexity(int argc, char** argv);

namespace qwen_infer {

namespace {

// llama-perplexity ends with success if it refuses a text.
int Perplexity(int argc, char** argv) {
  const int code = llama_perplexity(argc, argv);
  if (code != kExitSuccess || RunTimings().AnyTokens()) return code;
  common_log_flush(common_log_main());
  PrintError("nothing was computed, see above; for a text that is too short, -c N makes the windows smaller");
  return kExitFailure;
}

}  // namespace

int RunPerplexity(Arguments arguments) {
  return RunTool(
      {.name = "perplexity",
       .summary = "measure how well the model predicts a text",
       .example = "-m model.gguf -f text.txt -c 4096 --chunks 1 --use_top_k_attention --top_k_attention_k 64",
       .entry = Perplexity,
       .timings = LlamaTimings::kWrong},
      arguments);
}

}  // namespace qwen_infer
