// qwen-infer convert: a GGUF file of a folder with safetensors or of a name on the hub. llama.cpp's converter is in
// Python, and so is what keeps its results (qwen_infer.conversion); this process becomes that one.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "flags.h"
#include "run.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

constexpr char kInterpreterVariable[] = "QWEN_INFER_PYTHON";

// Of the program, so that it is there before the Python package is.
void PrintHelp() {
  std::cout << "qwen-infer convert: make the model file (GGUF) of a checkpoint, once, and print its path. Examples:\n"
               "  qwen-infer convert ./Qwen3-0.6B                     # a folder with config.json, tokenizer and "
               "safetensors\n"
               "  qwen-infer convert --load_in_4bit Qwen/Qwen3-8B     # a name on the Hugging Face hub\n"
               "  qwen-infer chat -m \"$(qwen-infer convert ./Qwen3-0.6B)\"\n"
               "\n"
               "The file is kept in the folder `converted` of the cache (~/.cache/qwen-infer; QWEN_INFER_CACHE or\n"
               "XDG_CACHE_HOME move it) under a name made of its content, and found there the next time, here and by\n"
               "Qwen3Inference. Downloads are the hub's own cache's (HF_HOME moves it).\n"
               "\n"
               "flags (names with underscores or dashes):\n"
               "  --load_in_8bit    weights in Q8_0 instead of bf16\n"
               "  --load_in_4bit    weights in Q4_K_M instead of bf16\n"
               "  --list_cache      list the files that were made, with their sizes\n"
               "  --clear_cache     delete them\n"
               "\n"
               "llama.cpp's converter is in Python: convert runs python3, or the Python that QWEN_INFER_PYTHON names,\n"
               "with the package qwen_infer (pip install \".[convert]\" in a checkout).\n"
               "\n"
               "Exit codes: 0 done; 1 failed; 2 mistakes in the flags; 130 interrupted.\n";
}

constexpr char kProgram[] = R"(import sys
try:
    from qwen_infer.conversion.command_line import main
except Exception as error:
    sys.exit(
        f"error: convert is a part of the Python package qwen_infer, which {sys.executable} cannot import ({error}): "
        "install it, pip install '.[convert]', or name the Python that has it in QWEN_INFER_PYTHON"
    )
sys.exit(main(program="qwen-infer convert"))
)";

// A program that was built in a checkout uses the packages of that checkout; any other what Python has installed.
void PreferPackagesOfCheckout() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path packages = program.parent_path().parent_path().parent_path() / "python";
  if (error || !std::filesystem::exists(packages / "qwen_infer" / "conversion", error)) return;
  const char* others = std::getenv("PYTHONPATH");
  const std::string path = packages.string() + (others == nullptr ? "" : ":" + std::string(others));
  setenv("PYTHONPATH", path.c_str(), 1);
}

}  // namespace

int RunConvert(Arguments arguments) {
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  for (const std::string_view argument : arguments) {
    if (!IsTopKFlag(argument)) continue;
    PrintError("convert computes no attention: leave out " + std::string(argument));
    return kExitUsage;
  }
  const char* interpreter = std::getenv(kInterpreterVariable);
  std::vector<std::string> command = {interpreter == nullptr ? "python3" : interpreter, "-c", kProgram};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  PreferPackagesOfCheckout();
  execvp(argv[0], argv.data());
  PrintError("convert cannot start Python as '" + command[0] + "' (" + std::strerror(errno) +
             "): install Python 3.10 or later, or name it in " + kInterpreterVariable);
  return kExitFailure;
}

}  // namespace qwen_infer
