// TopKAttention: the attention layer of a transformer with exact top-k attention inside, forward and backward, for
// programs in C++ that build or train models. Weights are laid out as in torch.nn.MultiheadAttention.
//
//   Q = query Wq^T + bq    K = key Wk^T + bk    V = value Wv^T + bv    head_dim = embed_dim / num_heads
//   A = top-k attention of Q, K and V (topk/attention.h), head h in the columns h head_dim .. (h + 1) head_dim - 1,
//       scores divided by sqrt(head_dim) and by the temperature
//   output = A Wo^T + bo
//
// All buffers are row-major f32, [batch, n, features]. Functions check their arguments first and answer with a Status
// that names argument, value and what is allowed; nothing throws. After kOutOfMemory outputs may hold anything, after
// other errors they are untouched. Memory is O(batch * n * (embed_dim + num_heads * kept keys)), never n_query * n_key.
// Results do not depend on the number of threads; on another instruction set they differ by the rounding of f32.
#ifndef TOPK_LAYER_H_
#define TOPK_LAYER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topk/attention.h"
#include "topk/auto_budget.h"
#include "topk/parallel.h"
#include "topk/selection.h"
#include "topk/status.h"

namespace topk {

// What top-k attention keeps: the same fields, defaults and JSON as Python's TopKAttentionConfig.
struct TopKAttentionConfig {
  static constexpr int64_t kAuto = kAutoBudget;

  int64_t k = 32;            // keys kept per query and head, or kAuto ("auto" in JSON): more where a row sees more
  double temperature = 1.0;  // divides the scores
  // Every row takes the sparse path (TopKOptions::sparse). The selection that Forward reports is sparse either way.
  bool use_sparse = false;
  // With k above the number of keys attention is full; if off, that is an error (kBudgetCoversAllKeys).
  bool fallback_full_attention = true;
  // Off: MemoryStats stay at zero, and no mass is measured.
  bool enable_memory_tracking = true;

  // The budget of a row that sees so many keys: k, or with kAuto topk::AutoBudget.
  int64_t BudgetFor(int64_t n_visible) const;

  // kInvalidArgument, naming field, value and range, if a field is out of range.
  Status Validate() const;
  // One object with every field, in the order above.
  std::string ToJson() const;
  // Reads an object; fields that it leaves out get their defaults. Refuses unknown fields, wrong types and values out
  // of range. `config` is unchanged on error.
  static Status FromJson(std::string_view text, TopKAttentionConfig& config);

  bool operator==(const TopKAttentionConfig&) const = default;
};

// The layer around it. Needed: embed_dim. JSON as for TopKAttentionConfig.
struct TopKAttentionShape {
  int64_t embed_dim = 0;     // a multiple of num_heads
  int64_t num_heads = 8;     // query heads
  int64_t num_kv_heads = 0;  // divides num_heads; 0: num_heads
  int64_t kdim = 0;          // features of key; 0: embed_dim
  int64_t vdim = 0;          // features of value; 0: embed_dim
  bool bias = true;
  double dropout = 0.0;     // share of the kept weights that training sets to zero
  bool causal = false;      // query i sees keys 0 .. n_key - n_query + i
  int64_t sinks = 0;        // first visible keys, kept on top of k
  int64_t window = 0;       // last visible keys, kept on top of k
  double min_mass = 0.0;    // the budget of a row grows from k, at most to 4096, until it holds this share of the
                            // full softmax
  bool exact_mass = false;  // measure the mass of every row, not of few (SamplesMass)

  Status Validate() const;
  std::string ToJson() const;
  static Status FromJson(std::string_view text, TopKAttentionShape& shape);

  int64_t HeadDim() const { return embed_dim / num_heads; }
  int64_t KvHeads() const { return num_kv_heads == 0 ? num_heads : num_kv_heads; }
  int64_t KvDim() const { return KvHeads() * HeadDim(); }
  int64_t KeyDim() const { return kdim == 0 ? embed_dim : kdim; }
  int64_t ValueDim() const { return vdim == 0 ? embed_dim : vdim; }

  bool operator==(const TopKAttentionShape&) const = default;
};

// Weights [out, in] and biases of a layer, or their gradients.
struct TopKAttentionParameters {
  std::vector<float> q_weight;    // [embed_dim, embed_dim]
  std::vector<float> k_weight;    // [KvDim, KeyDim]
  std::vector<float> v_weight;    // [KvDim, ValueDim]
  std::vector<float> in_bias;     // of q, k, v: [embed_dim + 2 KvDim]; empty without bias
  std::vector<float> out_weight;  // [embed_dim, embed_dim]
  std::vector<float> out_bias;    // [embed_dim]; empty without bias
};

struct TopKAttentionInput {
  int64_t batch = 1;
  int64_t n_query = 0;
  int64_t n_key = 0;
  std::span<const float> query = {};  // [batch, n_query, embed_dim]
  std::span<const float> key = {};    // [batch, n_key, kdim]; empty: query, and n_key does not count (self-attention)
  std::span<const float> value = {};  // [batch, n_key, vdim]; empty: key
  // [batch, n_key], not 0: no query sees this key. Empty: all are seen.
  std::span<const uint8_t> key_padding_mask = {};
  // [mask_batch, mask_heads, n_query, n_key], added to the scores; -inf hides. Empty: none. Together with
  // key_padding_mask it is copied once per sequence.
  std::span<const float> attn_mask = {};
  int64_t mask_batch = 1;  // 1 or batch
  int64_t mask_heads = 1;  // 1 or num_heads
};

// What Forward leaves for Backward: O(batch * n * (embed_dim + num_heads * kept keys)). The caller's, who may use it
// again and so keep its memory; after an error it holds anything.
struct TopKAttentionActivations {
  UninitializedVector<float> q;               // projected: [batch, n_query, embed_dim]
  UninitializedVector<float> k;               // [batch, n_key, KvDim]
  UninitializedVector<float> v;               // [batch, n_key, KvDim]
  UninitializedVector<float> attention;       // A: [batch, n_query, embed_dim]
  Selection selection;                        // the weights before dropout
  std::optional<uint64_t> dropout_seed = {};  // dropout is replayed and not stored
};

struct TopKAttentionOutput {
  std::span<float> output = {};                     // [batch, n_query, embed_dim]
  Selection* selection = nullptr;                   // kept keys and weights (before dropout) as CSR, if not null
  TopKAttentionActivations* activations = nullptr;  // for Backward, if not null
  std::optional<uint64_t> dropout_seed = {};        // training: drops weights by this seed; empty: none is dropped
};

// What Backward computes; each part is overwritten, and left out if it is empty or null.
struct TopKAttentionGradients {
  std::span<float> query = {};  // like the inputs; of an input that stood in for others, the sum of its uses
  std::span<float> key = {};
  std::span<float> value = {};
  TopKAttentionParameters* parameters = nullptr;  // resized
};

// Sums over the calls of Forward since the layer was made or the statistics were reset.
struct TopKAttentionMemoryStats {
  int64_t total_memory_saved = 0;          // visible keys less kept ones, summed over rows (query and head)
  double avg_memory_saved_per_call = 0.0;  // 0 without calls
  int64_t calls = 0;
  int64_t fallback_calls = 0;  // calls in which every row kept all its keys: full attention
  int64_t mass_rows = 0;       // rows whose mass was measured
  double mean_mass = 1.0;      // over those
  double min_mass = 1.0;
  int64_t peak_scratch_bytes = 0;  // most memory that one call took besides what its caller owns and Eigen's panels
};

class TopKAttention {
 public:
  // Makes a layer with parameters as torch.nn.MultiheadAttention starts with: ResetParameters(0).
  static Status Create(const TopKAttentionShape& shape, const TopKAttentionConfig& config,
                       std::unique_ptr<TopKAttention>& layer);
  ~TopKAttention();
  TopKAttention(const TopKAttention&) = delete;
  TopKAttention& operator=(const TopKAttention&) = delete;

  const TopKAttentionShape& shape() const;
  const TopKAttentionConfig& config() const;

  // The parameters; a training step writes to them. Their sizes must stay as they are. Not while another thread is in a
  // function of this layer.
  TopKAttentionParameters& parameters();
  const TopKAttentionParameters& parameters() const;
  // Uniform weights after Glorot and Bengio (2010), biases 0; the same for the same seed everywhere.
  void ResetParameters(uint64_t seed);

  // Reads `prefix`in_proj_weight [embed_dim + 2 KvDim, embed_dim], or q_proj_weight, k_proj_weight and v_proj_weight,
  // in_proj_bias, out_proj.weight and out_proj.bias: the names of torch.nn.MultiheadAttention. F32, or F16 and BF16
  // converted; other tensors of the file are left alone. A prefix usually ends in a dot ("layers.0.self_attn.").
  // kInvalidArgument, naming path, tensor and reason; the parameters are unchanged on error.
  Status LoadSafetensors(const std::string& path, std::string_view prefix = {});
  // Writes them in F32: in_proj_weight where MultiheadAttention has it, else the three parts.
  Status SaveSafetensors(const std::string& path, std::string_view prefix = {}) const;

  // Forward and Backward may be called from many threads at once.
  Status Forward(const TopKAttentionInput& input, const TopKAttentionOutput& output, const Executor& executor) const;
  // Gradients of sum(grad_output * output), with what Forward left for the same input and parameters. The selection is
  // taken as fixed, as it is almost everywhere. `grad_output` is like the output.
  Status Backward(const TopKAttentionInput& input, const TopKAttentionActivations& activations,
                  std::span<const float> grad_output, const TopKAttentionGradients& gradients,
                  const Executor& executor) const;

  TopKAttentionMemoryStats GetMemoryStats() const;
  void ResetMemoryStats();

 private:
  struct Impl;
  explicit TopKAttention(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace topk

#endif  // TOPK_LAYER_H_
