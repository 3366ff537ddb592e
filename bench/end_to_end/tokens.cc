#include "end_to_end/tokens.h"

#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "common.h"

namespace qwen_infer::end_to_end_bench {

namespace {

std::vector<llama_token> TokensOfFile(const llama_vocab& vocab, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw std::runtime_error("cannot read the text " + path);
  std::vector<llama_token> tokens = common_tokenize(&vocab, text, /*add_special=*/false, /*parse_special=*/false);
  if (tokens.empty()) throw std::runtime_error("there is no text in " + path);
  return tokens;
}

}  // namespace

std::vector<llama_token> TokensToRead(const llama_vocab& vocab, const std::string& text_file, int64_t count) {
  std::vector<llama_token> tokens;
  tokens.reserve(static_cast<size_t>(count));
  if (llama_vocab_get_add_bos(&vocab)) tokens.push_back(llama_vocab_bos(&vocab));
  const auto size = static_cast<size_t>(count);
  if (text_file.empty()) {
    std::mt19937 random;  // NOLINT(cert-msc51-cpp,bugprone-random-generator-seed): the same in every run
    const auto n_vocab = static_cast<uint32_t>(llama_vocab_n_tokens(&vocab));
    while (tokens.size() < size) tokens.push_back(static_cast<llama_token>(random() % n_vocab));
  } else {
    const std::vector<llama_token> text = TokensOfFile(vocab, text_file);
    for (size_t i = 0; tokens.size() < size; ++i) tokens.push_back(text[i % text.size()]);
  }
  return tokens;
}

}  // namespace qwen_infer::end_to_end_bench
