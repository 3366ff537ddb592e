// What a page can hold: the layers that it shows, and how many weights of each row.
#ifndef QWEN_INFER_INSPECT_PLAN_H_
#define QWEN_INFER_INSPECT_PLAN_H_

#include <cstdint>
#include <vector>

#include "options.h"
#include "topk/status.h"

namespace qwen_infer::inspect {

struct PageShape {
  int64_t n_layer = 0;  // of the model
  int64_t n_head = 0;   // of a layer
  int64_t n_token = 0;
  int64_t n_setting = 1;
};

struct Plan {
  std::vector<int> layers;  // ascending
  int strongest = 0;
};

// Of a page with so many layers: its data in base64, which the rest is small beside.
int64_t PageBytes(const PageShape& shape, int64_t n_layer, int64_t strongest);

// All layers of the options with the most weights, up to 16, that fit; if not even four do and no layers were named, as
// many layers as fit, the first and the last among them. Where no page is written, nothing has to fit.
// kInvalidArgument, with the remedy, if what was asked for does not fit, or a layer that was named does not exist.
topk::Status MakePlan(const Options& options, const PageShape& shape, Plan& out);

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_PLAN_H_
