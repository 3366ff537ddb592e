// Products with weight matrices, and their gradients: Eigen's, on blocks that the caller's threads share out.
//
// All matrices are dense and row-major. Blocks have fixed sizes, so results do not depend on the number of threads. The
// best instruction set of the machine is taken when the program runs.
// kOutOfMemory if Eigen finds no memory for its packed panels; the result then holds anything.
#ifndef TOPK_SRC_LAYER_PROJECTION_H_
#define TOPK_SRC_LAYER_PROJECTION_H_

#include <cstdint>

#include "topk/parallel.h"
#include "topk/status.h"

namespace topk {

// x is [rows, n_in], the weight [n_out, n_in], y [rows, n_out].
struct ProjectionShape {
  int64_t rows = 0;
  int64_t n_in = 0;
  int64_t n_out = 0;
};

// y = x weight^T + bias; bias may be null.
Status Project(const ProjectionShape& shape, const float* x, const float* weight, const float* bias, float* y,
               const Executor& executor);

// grad_x = grad_y weight, or added to it.
Status ProjectInputGradient(const ProjectionShape& shape, const float* grad_y, const float* weight, bool add,
                            float* grad_x, const Executor& executor);

// grad_weight = grad_y^T x, grad_bias = the sum of grad_y's rows; grad_bias may be null.
Status ProjectParameterGradient(const ProjectionShape& shape, const float* grad_y, const float* x, float* grad_weight,
                                float* grad_bias, const Executor& executor);

}  // namespace topk

#endif  // TOPK_SRC_LAYER_PROJECTION_H_
