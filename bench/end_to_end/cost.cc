#include "end_to_end/cost.h"

#include "shared/progress.h"

namespace qwen_infer::end_to_end_bench {

namespace {

// Tokens that are read while one is generated.
constexpr double kGeneration = 6;

}  // namespace

double Cost(Way way, const Workload& test) {
  const double reading =
      ReadingCost(test.tokens, test.depth, way == Way::kTopK ? kTopKDoubling : kFullAttentionDoubling);
  return reading * (test.kind == Kind::kGenerate ? kGeneration : 1);
}

}  // namespace qwen_infer::end_to_end_bench
