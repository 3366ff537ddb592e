// qwen-infer: llama.cpp's tools with exact top-k attention. Picks the subcommand; its own file does the rest.
#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>
#include <vector>

#include "build-info.h"
#include "llama.h"
#include "nearest.h"
#include "program_version.h"
#include "run.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(Arguments);
};

constexpr std::array<Subcommand, 13> kSubcommands = {{
    {"complete", "continue a prompt or a file; answer it if the model has a chat template", RunComplete},
    {"chat", "talk to the model in the terminal", RunChat},
    {"serve", "OpenAI-compatible HTTP server on this machine, with live statistics", RunServe},
    {"bench", "measure tokens per second", RunBench},
    {"bench-attention", "time attention alone, llama.cpp's and ours, without a model", RunBenchAttention},
    {"calibrate", "measure once from how many keys on top-k attention is faster here", RunCalibrate},
    {"perplexity", "measure how well the model predicts a text", RunPerplexity},
    {"eval", "measure what top-k attention costs in quality, against full attention", RunEval},
    {"eval-tasks", "measure it in answers about long prompts: needles, variables, words, code", RunEvalTasks},
    {"tune", "find the budget of each layer for a model, and check it on other text", RunTune},
    {"inspect", "see which tokens each token keeps, by layer and head, as a page", RunInspect},
    {"quantize", "write a smaller copy of a model file", RunQuantize},
    {"convert", "make a model file of a folder with safetensors, or of a name on the hub", RunConvert},
}};

constexpr size_t kSummaryColumn = 17;

void PrintHelp(std::ostream& out) {
  out << "qwen-infer runs Qwen and every other model of llama.cpp on the CPU, with exact top-k attention if asked:\n"
         "each query attends to the k keys that matter most to it and spends nothing on the rest.\n"
         "\n"
         "usage: qwen-infer SUBCOMMAND [FLAGS]\n"
         "\n";
  for (const Subcommand& subcommand : kSubcommands) {
    out << "  " << subcommand.name << std::string(kSummaryColumn - subcommand.name.size(), ' ') << subcommand.summary
        << "\n";
  }
  out << "\n"
         "  # answer a question about a long file, keeping the 256 best keys of each query; -st: once, then end\n"
         "  qwen-infer complete -m model.gguf -f long.txt --no-escape -n 64 -st --use_top_k_attention\n"
         "\n"
         "  # the same as a server; in another terminal: curl localhost:8080/topk/stats\n"
         "  qwen-infer serve -m model.gguf --use_top_k_attention\n"
         "\n"
         "  # what it gains at a depth of 8192 tokens: with and without\n"
         "  qwen-infer bench --compare -m model.gguf -d 8192\n"
         "\n"
         "Every subcommand but chat, bench-attention, bench --compare, calibrate, eval, eval-tasks, tune, inspect and\n"
         "convert takes all flags of the llama.cpp tool that it runs, and without --use_top_k_attention it does what "
         "that\n"
         "tool does; chat takes the most usual of llama-cli's. qwen-infer SUBCOMMAND --help lists the flags, ours "
         "first.\n"
         "\n"
         "Exit codes: 0 done; 1 failed, and mistakes in llama.cpp's own flags; 2 mistakes in the subcommand or our "
         "flags;\n"
         "130 interrupted.\n";
}

int Main(std::vector<std::string_view> arguments) {
  if (arguments.empty()) {
    PrintHelp(std::cerr);
    return kExitUsage;
  }
  const std::string_view name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    PrintHelp(std::cout);
    return kExitSuccess;
  }
  if (name == "--version" || name == "version") {
    std::cout << "qwen-infer " << kVersion << " (llama.cpp " << llama_version() << ", commit " << llama_commit()
              << ")\n";
    return kExitSuccess;
  }
  std::vector<std::string_view> names;
  for (const Subcommand& subcommand : kSubcommands) {
    if (subcommand.name == name) return subcommand.run(Arguments(arguments).subspan(1));
    names.push_back(subcommand.name);
  }
  const std::string_view nearest = NearestName(name, names);
  PrintError("there is no subcommand '" + std::string(name) + "'" +
             (nearest.empty() ? "" : "; did you mean '" + std::string(nearest) + "'?"));
  std::cerr << "See qwen-infer --help\n";
  return kExitUsage;
}

}  // namespace

}  // namespace qwen_infer

int main(int argc, char** argv) {
  const int code = qwen_infer::Main(std::vector<std::string_view>(argv + std::min(argc, 1), argv + argc));
  return qwen_infer::WithOutput(code);
}
