// Benchmarks are registered once for each SIMD target of this machine.
#ifndef TOPK_SRC_TESTING_EACH_TARGET_H_
#define TOPK_SRC_TESTING_EACH_TARGET_H_

#include <string>

#include "topk/attention.h"

namespace topk::testing {

// Calls fn(target name) for each; returns true, to initialise a global with.
template <typename Fn>
bool ForEachTarget(Fn&& fn) {
  for (const char* target : SimdTargets()) fn(target);
  return true;
}

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_EACH_TARGET_H_
