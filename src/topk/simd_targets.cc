#include <hwy/highway.h>
#include <hwy/targets.h>
#include <cstring>

#include "topk/amx.h"
#include "topk/attention.h"

namespace topk {

namespace {

// Not a target of Highway's: its best ones, and AMX for products of int8.
constexpr const char* kAmxTarget = "AMX";

int64_t SupportedTargets() { return hwy::SupportedTargets() & HWY_TARGETS; }

// Those that can be had together with AMX.
int64_t TargetsWithAmx() { return HasAmx() ? SupportedTargets() & kAvx3OrBetter : 0; }

int64_t TargetNamed(const char* name) {
  for (int64_t targets = SupportedTargets(); targets != 0; targets &= targets - 1) {
    const int64_t target = targets & -targets;
    if (std::strcmp(hwy::TargetName(target), name) == 0) return target;
  }
  return 0;
}

}  // namespace

std::vector<const char*> SimdTargets() {
  std::vector<const char*> names;
  if (TargetsWithAmx() != 0) names.push_back(kAmxTarget);
  for (int64_t targets = SupportedTargets(); targets != 0; targets &= targets - 1) {
    names.push_back(hwy::TargetName(targets & -targets));
  }
  return names;
}

bool UseSimdTarget(const char* name) {
  const bool is_amx = name != nullptr && std::strcmp(name, kAmxTarget) == 0;
  const int64_t wanted = name == nullptr ? SupportedTargets() : is_amx ? TargetsWithAmx() : TargetNamed(name);
  if (wanted == 0) return false;
  hwy::GetChosenTarget().Update(wanted);
  AllowAmx(name == nullptr || is_amx);
  return true;
}

}  // namespace topk
