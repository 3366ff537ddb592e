// The certified integer scan of a tile: int8 or int16 products rule out the keys that cannot be among the k best of a
// row, and only the others are scored in f32 and offered to the row's candidates.
//
//  1. A guess at the row's k-th best score, from a sample of the keys.
//  2. Every key whose integer score, with all that rounding can add to it, reaches the guess (or the row's proven
//  floor,
//     if that is higher) is scored in f32.
//  3. If the k-th best of those scores reaches the guess, then no key that was ruled out can be among the k best.
//     Else, a few rows in a hundred, the guess was too high: the same again with the floor that is proven by now.
//
// So the selected set is the exact one whatever the guess and the rounding. The method is that of
// approximate-then-verify search; the bound is in quantize/quantize.h.
#ifndef TOPK_SRC_INTEGER_SCAN_H_
#define TOPK_SRC_INTEGER_SCAN_H_

#include <cstdint>
#include <optional>
#include <span>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/quantized_keys.h"
#include "topk/scan/scan_integers.h"
#include "topk/survivors.h"
#include "topk/tile.h"

namespace topk {

class IntegerScan {
 public:
  // Whether quantising this call's keys pays.
  static bool Suits(const Call& call);

  // Lays out the scratch of one worker.
  static IntegerScan Take(Carver& carver, const Call& call);

  // Offers the keys of `head`, which has a width, to the candidates of the rows, all of them of one tile, of KV head
  // `head_kv` and sparse. False if the integers are too coarse for these keys, so that f32 is faster: then nothing was
  // offered.
  bool Run(const Call& call, int64_t head_kv, const QuantizedHead& head, std::span<RowState> rows);

  // The share of a head's keys that would be left to be scored in f32, from a sample: block s of `sample` is block
  // blocks[s] of the head, and the rows, at most kTileRows, are some of its. Nothing if that is too small to tell.
  std::optional<double> ShareOfSurvivors(const Call& call, const QuantizedHead& sample, std::span<const int64_t> blocks,
                                         std::span<RowState> rows);

  static constexpr int64_t kMostSampledBlocks = 16;

 private:
  struct Blocks {
    int64_t first, last;
  };
  // False if the keys, hidden ones included, are too large for a row: the f32 scan looks at the visible ones alone.
  bool Prepare(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows);
  void SampleVector(const Call& call, const QuantizedHead& head, int64_t block, int64_t part, int64_t key);
  void FindVisibleInSample(const Call& call, const uint8_t* mask);
  int64_t HideInSample(const RowState& row, float* scores) const;
  template <typename Use>
  void ForEachGuess(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows, Use&& use);
  void Guess(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows);
  void FindSurvivors(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows, Blocks segment);
  bool IsWorthwhile(int64_t n_rows, int64_t n_blocks) const;
  bool Pass(const Call& call, const TensorView& keys, const QuantizedHead& head, std::span<RowState* const> rows,
            bool may_refuse);

  // The rows of a pass and what belongs to each, by slot.
  RowState** slots_ = nullptr;  // [kTileRows]
  float* queries_ = nullptr;    // [kTileRows][PadToLanes(d)]: q'
  double* offset_ = nullptr;    // [kTileRows]: the score of the mean key, which integer scores leave out
  float* guess_ = nullptr;      // [kTileRows]: at the k-th best score, without the offset
  float* errors_ = nullptr;     // [kTileRows]: of f32 scores
  uint8_t* numbers_ = nullptr;  // [kTileRows in whole panels][QuantizedBytes(d, width)]
  QueryFacts facts_{};
  RowBounds bounds_{};

  float* panel_ = nullptr;        // [d][kBlockKeys]
  int32_t* magnitude_ = nullptr;  // [PadToLanes(d)]

  int64_t n_sampled_ = 0;                     // vectors of the sample
  const uint8_t** sample_vectors_ = nullptr;  // [kSampleVectors]
  float* sample_scales_ = nullptr;            // [kSampleVectors]
  KeyIndex* sample_keys_ = nullptr;           // [kSampleVectors]: the first key of each
  uint64_t* sample_visible_ = nullptr;        // [kSampleVectors]: bits of its keys that a mask leaves visible
  float* sample_scores_ = nullptr;            // [kIntegerRows][kSampleKeys + kMaxLanes]

  Survivors survivors_;
};

}  // namespace topk

#endif  // TOPK_SRC_INTEGER_SCAN_H_
