// One line of the table: the shape of an attention operation, and the ways to compute it that compete.
#ifndef QWEN_INFER_BENCH_ATTENTION_CASE_H_
#define QWEN_INFER_BENCH_ATTENTION_CASE_H_

#include <ggml.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace qwen_infer::attention_bench {

struct Inputs;  // inputs.h

struct HeadShape {
  int64_t n_head = 0;     // query heads, a multiple of n_head_kv
  int64_t n_head_kv = 0;  // heads of K and V
  int64_t d = 0;          // numbers of a head

  bool operator==(const HeadShape&) const = default;
};

// The queries are the last n_query of a context of n_key tokens: query i sees keys 0 .. n_key - n_query + i, or the
// n_visible of those that a mask scatters over them.
struct Case {
  HeadShape heads;
  ggml_type type = GGML_TYPE_F16;  // of K and V
  int64_t n_query = 0;
  int64_t n_key = 0;
  int64_t n_visible = 0;                           // 0: all; else at most n_key - n_query + 1
  std::shared_ptr<const Inputs> inputs = nullptr;  // null: Gaussian numbers

  // One query, or those of speculative and parallel decoding: K is read once, from memory.
  static constexpr int64_t kMostDecodeQueries = 16;
  bool IsDecode() const { return n_query <= kMostDecodeQueries; }
  int64_t Rows() const { return n_query * heads.n_head; }
  // Bytes of K, and of V.
  int64_t KeyBytes() const { return static_cast<int64_t>(ggml_row_size(type, heads.d)) * heads.n_head_kv * n_key; }
  // Query-key pairs that the mask leaves, over all heads.
  int64_t VisiblePairs() const {
    return heads.n_head * (n_visible > 0 ? n_query * n_visible : n_query * n_key - n_query * (n_query - 1) / 2);
  }
  bool IsSameButForType(const Case& other) const {
    return heads == other.heads && n_query == other.n_query && n_key == other.n_key && n_visible == other.n_visible &&
           inputs == other.inputs;
  }
  // Of scores: that of the inputs, or 1 / sqrt(d).
  float Scale() const;
  // "gaussian", or the name of the inputs' file.
  std::string InputsName() const;
  // "1 query, 4096 keys, heads 14:2:64, f16", then the recorded inputs.
  std::string Name() const;
};

// In the order of the columns.
enum class Method {
  kStockFlash,     // ggml's FLASH_ATTN_EXT
  kStockProducts,  // ggml's products and softmax, as llama.cpp runs them with flash attention off
  kTopKF32,
  kTopKInt8,
  kTopKInt16,
  kDense,  // our kernels with k = n
  kAsUsed  // what they choose among these by themselves: what a model gets
};
inline constexpr size_t kMethodCount = 7;
inline constexpr std::array<Method, kMethodCount> kMethods = {
    Method::kStockFlash, Method::kStockProducts, Method::kTopKF32, Method::kTopKInt8,
    Method::kTopKInt16,  Method::kDense,         Method::kAsUsed};

constexpr bool IsStock(Method method) { return method <= Method::kStockProducts; }
constexpr size_t IndexOf(Method method) { return static_cast<size_t>(method); }
// "stock_flash": in JSON, CSV and messages.
std::string_view NameOf(Method method);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_CASE_H_
