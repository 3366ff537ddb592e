// qwen-infer quantize: a smaller copy of a model file; llama-quantize. Attention has no part in it, so it takes none of
// our flags.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "flags.h"
#include "run.h"
#include "subcommands.h"

int llama_quantize(int argc, char** argv);

namespace qwen_infer {

namespace {

// llama-quantize shows its usage if called without arguments, and then ends with exit(1), as after a mistake.
[[noreturn]] void PrintHelp(char* name) {
  std::puts(
      "qwen-infer quantize: write a smaller copy of a model file. Example:\n"
      "  qwen-infer quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
      "\n"
      "It computes no attention and takes no --top_k_attention flags. llama.cpp's own help:\n");
  EndWithWrittenOutput(/*is_success=*/true);
  char* argv[] = {name, nullptr};
  std::exit(llama_quantize(1, argv));
}

}  // namespace

int RunQuantize(Arguments arguments) {
  for (const std::string_view argument : arguments) {
    if (!IsTopKFlag(argument)) continue;
    PrintError("quantize computes no attention: leave out " + std::string(argument));
    return kExitUsage;
  }
  std::vector<std::string> llama(arguments.begin(), arguments.end());
  std::string name = "qwen-infer quantize";
  if (HasLlamaFlag(llama, kHelpFlags)) PrintHelp(name.data());
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : llama) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return llama_quantize(static_cast<int>(argv.size()) - 1, argv.data());
}

}  // namespace qwen_infer
