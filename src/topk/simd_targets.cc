#include <hwy/highway.h>
#include <hwy/targets.h>
#include <cstring>

#include "topk/attention.h"

namespace topk {

std::vector<const char*> SimdTargets() {
  std::vector<const char*> names;
  for (int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
    names.push_back(hwy::TargetName(targets & -targets));  // better targets are lower bits
  }
  return names;
}

bool UseSimdTarget(const char* name) {
  int64_t wanted = 0;
  for (int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
    const int64_t target = targets & -targets;
    if (name == nullptr || std::strcmp(hwy::TargetName(target), name) == 0) wanted |= target;
  }
  if (wanted == 0) return false;
  hwy::GetChosenTarget().Update(wanted);
  return true;
}

}  // namespace topk
