// From what a part knows of its rows to their outputs: exact selection, budget for a mass, softmax, weighted sum.
#ifndef TOPK_SRC_FINISH_H_
#define TOPK_SRC_FINISH_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/select/candidates.h"
#include "topk/tile.h"

namespace topk {

// Per thread: the selection of one row at a time.
struct FinishScratch {
  float* scores = nullptr;          // [MaxSelected + kMaxLanes]; then the weights
  KeyIndex* keys = nullptr;         // [MaxSelected]
  float* weights = nullptr;         // [MaxSelected + kMaxLanes]: for min_mass
  double* forced_scores = nullptr;  // of sinks and window
  UndecidedScratch undecided;       // capacity elements each
  ScoredKey* canonical = nullptr;   // see SelectCanonically
  int64_t* dense_again = nullptr;   // [kTileRows]

  // capacity: the most candidates that a row may have here.
  static FinishScratch Take(Carver& carver, const Call& call, int64_t capacity);
};

// Writes the outputs, selections and statistics of all rows of `part`, which has seen every key. Rows whose mass
// target needs more than max_k keys are scanned once more, dense.
void FinishPart(const Call& call, const Tile& tile, TilePart& part, const Workspace& work, const FinishScratch& scratch,
                Statistics& statistics);

}  // namespace topk

#endif  // TOPK_SRC_FINISH_H_
