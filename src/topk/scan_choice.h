// Which integers a prefill scans the keys of a KV head in, if any: what int8, int16 and f32 would cost, from the share
// of a sample of its keys that each leaves to be scored in f32 for a sample of its rows.
#ifndef TOPK_SRC_SCAN_CHOICE_H_
#define TOPK_SRC_SCAN_CHOICE_H_

#include <cstdint>
#include <optional>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/integer_scan.h"
#include "topk/quantized_keys.h"

namespace topk {

class ScanChoice {
 public:
  // Lays out the scratch of one worker.
  static ScanChoice Take(Carver& carver, const Call& call);

  // Whether integers could be faster for the head of that index, whatever its keys are: rows are long or many enough.
  // Chooses the rows of the sample.
  bool MayTakeIntegers(const Call& call, int64_t index);

  // Follows that for a head for which they could, whose transform is found by now; nothing if f32 is the fastest. The
  // choice changes how long a call takes, never its results. scan: the worker's, for its scratch.
  std::optional<NumberWidth> Run(const Call& call, const QuantizedKeys& keys, int64_t index, IntegerScan& scan,
                                 int worker);

 private:
  void ChooseRows(const Call& call, int64_t index);
  double FixedCost(const Call& call, NumberWidth width) const;

  RowState* rows_ = nullptr;   // [kSampledRows]
  int64_t n_rows_ = 0;         // of the sample
  int64_t* blocks_ = nullptr;  // [kMostSampledBlocks]
  QuantizedHead sample_;
};

}  // namespace topk

#endif  // TOPK_SRC_SCAN_CHOICE_H_
