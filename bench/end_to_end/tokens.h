// What the model reads: the same for every way and round.
#ifndef QWEN_INFER_BENCH_END_TO_END_TOKENS_H_
#define QWEN_INFER_BENCH_END_TO_END_TOKENS_H_

#include <llama.h>

#include <cstdint>
#include <string>
#include <vector>

namespace qwen_infer::end_to_end_bench {

// `count` tokens: those of the text in a file, from its start again if it is short, or, if `text_file` is empty, random
// ones as llama-bench has it, the same in every run. Throws std::runtime_error if the file cannot be read or is empty.
std::vector<llama_token> TokensToRead(const llama_vocab& vocab, const std::string& text_file, int64_t count);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_TOKENS_H_
