// The contents of a KV cache as llama.cpp saves them, moved from one context to another.
//
// With flash attention a cache has a row of V for each token; without, V is transposed, and llama.cpp refuses to read
// one as the other. So that the one prefill serves both, TransposeValues turns the saved rows into saved columns. It
// knows the layout that llama_kv_cache::state_write has in llama.cpp v0.5.0 for one sequence of a plain cache:
//   u32 magic, i32 sequence; u32 streams, u32 cells; cells times (i32 position, u32 1, i32 sequence)
//   u32 transposed, u32 layers; of each layer i32 type of K, u64 bytes of a row, the rows
//   of each layer i32 type of V and, row by row: u64 bytes of a row, the rows
//                               transposed:      u32 bytes of an element, u32 elements of a row, column by column
#ifndef QWEN_INFER_BENCH_END_TO_END_STATE_H_
#define QWEN_INFER_BENCH_END_TO_END_STATE_H_

#include <llama.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qwen_infer::end_to_end_bench {

using State = std::vector<uint8_t>;

// Sequence 0 of a context. Throws std::runtime_error if llama.cpp cannot save it.
State SaveState(llama_context& context);

// Makes it the only contents of the context. Throws std::runtime_error if llama.cpp refuses it.
void RestoreState(llama_context& context, std::span<const uint8_t> state);

// `state` with V by columns; nothing if it is not of the layout above to its last byte, or V is in blocks, whose
// elements cannot be moved one by one (quantised). Doubles the memory.
std::optional<State> TransposeValues(std::span<const uint8_t> state);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_STATE_H_
