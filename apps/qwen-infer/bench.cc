// qwen-infer bench: tokens per second of prompts and generation; llama-bench, or a comparison of our own.
#include <algorithm>
#include <vector>

#include "run.h"
#include "subcommands.h"

int llama_bench(int argc, char** argv);

namespace qwen_infer {

int RunBench(Arguments arguments) {
  constexpr std::string_view kCompare = "--compare";
  std::vector<std::string_view> rest(arguments.begin(), arguments.end());
  if (std::erase(rest, kCompare) > 0) return RunBenchCompare(rest);
  return RunTool({.name = "bench",
                  .summary = "measure tokens per second (with and without top-k attention in turns: bench --compare "
                             "--help)",
                  .example = "-m model.gguf -d 8192 -p 512 -n 32 --use_top_k_attention",
                  .entry = llama_bench,
                  .flash_attention = "1",
                  .timings = LlamaTimings::kNone},
                 arguments);
}

}  // namespace qwen_infer
