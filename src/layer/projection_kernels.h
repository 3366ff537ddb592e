// Products of blocks of rows with a weight matrix, compiled once for each instruction set: projection.cc picks one when
// the program runs. On one thread; may throw std::bad_alloc.
#ifndef TOPK_SRC_LAYER_PROJECTION_KERNELS_H_
#define TOPK_SRC_LAYER_PROJECTION_KERNELS_H_

#include <cstdint>

#include "layer/projection.h"

namespace topk {

// For the rows [first, first + count) of y, or of the weight in parameter_gradient; see projection.h for the rest.
struct ProjectionKernels {
  void (*project)(const ProjectionShape& shape, const float* x, const float* weight, const float* bias, float* y,
                  int64_t first, int64_t count);
  void (*input_gradient)(const ProjectionShape& shape, const float* grad_y, const float* weight, bool add,
                         float* grad_x, int64_t first, int64_t count);
  void (*parameter_gradient)(const ProjectionShape& shape, const float* grad_y, const float* x, float* grad_weight,
                             float* grad_bias, int64_t first, int64_t count);
};

extern const ProjectionKernels kProjectionBaseline;
#ifdef TOPK_PROJECTION_X86
extern const ProjectionKernels kProjectionAvx2;
extern const ProjectionKernels kProjectionAvx512;
#endif

}  // namespace topk

#endif  // TOPK_SRC_LAYER_PROJECTION_KERNELS_H_
