#include <array>

#include "topk/canonical/canonical.h"
#include "topk/numeric.h"

namespace topk {

double CanonicalDotReference(const float* q, DataType type, const uint8_t* key_row, int64_t d) {
  std::array<double, kCanonicalLanes> lane{};
  for (int64_t i = 0; i < d; ++i) {
    lane[i % kCanonicalLanes] += static_cast<double>(q[i]) * static_cast<double>(ReadNumber(type, key_row, i));
  }
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

}  // namespace topk
