// qwen-infer bench: tokens per second of prompts and generation; llama-bench.
#include "run.h"
#include "subcommands.h"

int llama_bench(int argc, char** argv);

namespace qwen_infer {

int RunBench(Arguments arguments) {
  return RunTool({.name = "bench",
                  .summary = "measure tokens per second",
                  .example = "-m model.gguf -d 8192 -p 512 -n 32 --use_top_k_attention",
                  .entry = llama_bench,
                  .flash_attention = "1",
                  .timings = LlamaTimings::kNone},
                 arguments);
}

}  // namespace qwen_infer
