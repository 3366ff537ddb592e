// qwen-infer chat: a conversation in the terminal; llama-cli.
#include "run.h"
#include "subcommands.h"

int llama_cli(int argc, char** argv);

namespace qwen_infer {

int RunChat(Arguments arguments) {
  return RunTool({.name = "chat",
                  .summary = "talk to the model in the terminal",
                  .example = "-m model.gguf --use_top_k_attention",
                  .entry = llama_cli,
                  .handles_interrupts = true},
                 arguments);
}

}  // namespace qwen_infer
