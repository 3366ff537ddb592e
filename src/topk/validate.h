// Arguments are checked here, once, before any work: everything below may trust them.
#ifndef TOPK_SRC_VALIDATE_H_
#define TOPK_SRC_VALIDATE_H_

#include "topk/attention.h"

namespace topk {

// The first thing that is wrong with a call, named with its value and its range; or ok.
Status Validate(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output);

}  // namespace topk

#endif  // TOPK_SRC_VALIDATE_H_
