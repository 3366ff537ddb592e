// Random attention problems for tests and benchmarks: they own their memory and describe it as an AttentionInput.
#ifndef TOPK_SRC_TESTING_RANDOM_INPUT_H_
#define TOPK_SRC_TESTING_RANDOM_INPUT_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"

namespace topk::testing {

// What a problem looks like; the defaults are small and odd-sized.
struct Shape {
  int64_t n_batch = 1;
  int64_t n_query = 3;
  int64_t n_key = 100;
  int64_t n_head = 4;
  int64_t n_head_kv = 2;
  int64_t d_k = 24;
  int64_t d_v = 20;
  DataType k_type = DataType::kF32;
  DataType v_type = DataType::kF32;
  enum class Mask {
    kNone,
    kCausal,
    kRandom,  // 0, and 3 of 10 keys hidden
    kAlibi,   // biases that grow with the distance, and a slope for each head
    kAllHidden,
    kSequences,  // 0 for the cells of one of several sequences in a shared cache, in runs; queries take turns
    kSparse      // 1 of 20 keys visible, with biases: trained sparse attention
  } mask = Mask::kNone;
  DataType mask_type = DataType::kF16;
  float softcap = 0.0F;
  bool sink_logits = false;
  int64_t padding = 0;  // extra numbers (blocks of 32 for q8_0) after each row, so that strides are not tight

  std::string Name() const;
};

// Numbers of any type in a strided tensor [batch, token, head, d].
class RandomTensor {
 public:
  RandomTensor() = default;
  RandomTensor(DataType type, int64_t n_batch, int64_t n_token, int64_t n_head, int64_t d, int64_t padding);

  void FillGaussian(std::mt19937& random, float deviation = 1.0F);
  // Gaussian around one of two opposite centres at random, whose numbers have the deviation `distance`: if that is
  // large, the keys of a cluster differ by less than int8 can tell. Not for q8_0.
  void FillTwoClusters(std::mt19937& random, float distance);
  // Rounds x to the type. For q8_0: to the block's scale, which FillGaussian sets.
  void Set(int64_t batch, int64_t token, int64_t head, int64_t i, float x);
  const TensorView& view() const { return view_; }
  std::vector<uint8_t>& bytes() { return bytes_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  uint8_t* Row(int64_t batch, int64_t token, int64_t head);

  DataType type_ = DataType::kF32;
  int64_t n_batch_ = 0, n_token_ = 0, n_head_ = 0, d_ = 0;
  std::vector<uint8_t> bytes_;
  TensorView view_;
};

class RandomProblem {
 public:
  RandomProblem(const Shape& shape, uint32_t seed);
  RandomProblem(const RandomProblem&) = delete;
  RandomProblem& operator=(const RandomProblem&) = delete;

  AttentionInput input;
  RandomTensor q, k, v;
  std::vector<float> mask_f32;
  std::vector<uint16_t> mask_f16;
  std::vector<float> sink_logits;
};

// An output tensor [batch, query, head, d_v] that owns its memory.
class OutputTensor {
 public:
  explicit OutputTensor(const AttentionInput& input);
  OutputView view();
  std::vector<float> numbers;

 private:
  const AttentionInput& input_;
};

uint16_t F32ToF16(float x);  // to nearest even
uint16_t F32ToBF16(float x);

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_RANDOM_INPUT_H_
