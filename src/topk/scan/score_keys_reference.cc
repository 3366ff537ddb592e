#include "topk/canonical/canonical.h"
#include "topk/scan/score_keys.h"

namespace topk {

void ScoreKeysReference(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys,
                        float* scores) {
  for (size_t j = 0; j < keys.size(); ++j) {
    scores[j] = static_cast<float>(CanonicalDotReference(q, head_keys.type, head_keys.Row(0, keys[j], 0), d));
  }
}

}  // namespace topk
