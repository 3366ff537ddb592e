// Many queries: each task takes one tile of rows over all their keys, which are quantised to integers before, where
// that pays.
#ifndef TOPK_SRC_PREFILL_H_
#define TOPK_SRC_PREFILL_H_

#include <optional>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/head_major.h"
#include "topk/key_panels.h"
#include "topk/parallel.h"
#include "topk/quantized_keys.h"

namespace topk {

// Lays out the scratch of n_workers workers and, if the carver has memory, computes every row of the call. Adds to
// statistics[worker].
class Prefill {
 public:
  Prefill(Carver& carver, Call& call, int n_workers);
  void Run(const Executor& executor, Statistics* statistics);

 private:
  struct Worker;
  void PrepareKeys(const Executor& executor);
  void PrepareHead(const QuantizedKeys& keys, int64_t index, int worker) const;
  void ScanInF32(const Tile& tile, Worker& worker) const;
  void ComputeTile(int64_t index, Worker& worker, Statistics& statistics) const;

  Call& call_;
  std::optional<QuantizedKeys> keys_;  // if the call may be scanned in integers
  std::optional<KeyPanels> panels_;    // if its keys are few
  bool needs_no_panels_ = false;       // if its keys and its rows are
  // If they pay:
  std::optional<HeadMajorCopy> copied_k_;
  std::optional<HeadMajorCopy> copied_v_;
  Worker* workers_;
};

}  // namespace topk

#endif  // TOPK_SRC_PREFILL_H_
