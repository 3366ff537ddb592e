// Generates text with exact top-k attention, as it comes.
//   generate_text MODEL.gguf "Once upon a time"
#include <exception>
#include <iostream>
#include <string_view>

#include "qwen_infer/engine.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate_text MODEL.gguf PROMPT\n";
    return 2;
  }
  try {
    qwen_infer::SetLogLevel(qwen_infer::LogLevel::kErrors);
    const auto model = qwen_infer::Model::Load({.path = argv[1], .top_k_attention = "k=256"});
    qwen_infer::Session session(model, {.context_length = 2048});
    qwen_infer::GenerateOptions options = {.max_new_tokens = 32};
    options.sampling.temperature = 0;
    session.Generate(argv[2], options, [](std::string_view text) {
      std::cout << text << std::flush;
      return true;
    });
    std::cout << "\n" << model->AttentionTotal().sums.keys_kept << " keys kept\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
