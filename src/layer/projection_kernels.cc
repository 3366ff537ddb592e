// One instruction set's kernels, under the name TOPK_PROJECTION_KERNELS. The build defines Eigen as another name for
// each set: its templates would else have the same names in all of them, and the linker would keep those of any one.
#include "layer/projection_kernels.h"

#define EIGEN_DONT_PARALLELIZE  // the threads are the caller's
#include <Eigen/Core>
#include <algorithm>

namespace topk {

namespace {

// Rows that a sum in f32 runs over before it is added to one in f64.
constexpr int64_t kSumRows = 64;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixView = Eigen::Map<const Matrix>;
using MutableView = Eigen::Map<Matrix>;

void ProjectRows(const ProjectionShape& shape, const float* x, const float* weight, const float* bias, float* y,
                 int64_t first, int64_t count) {
  const MatrixView x_rows(x + first * shape.n_in, count, shape.n_in);
  const MatrixView weights(weight, shape.n_out, shape.n_in);
  MutableView y_rows(y + first * shape.n_out, count, shape.n_out);
  y_rows.noalias() = x_rows * weights.transpose();
  if (bias != nullptr) y_rows.rowwise() += Eigen::Map<const Eigen::RowVectorXf>(bias, shape.n_out);
}

void InputGradientRows(const ProjectionShape& shape, const float* grad_y, const float* weight, bool add, float* grad_x,
                       int64_t first, int64_t count) {
  const MatrixView grad_y_rows(grad_y + first * shape.n_out, count, shape.n_out);
  const MatrixView weights(weight, shape.n_out, shape.n_in);
  MutableView grad_x_rows(grad_x + first * shape.n_in, count, shape.n_in);
  if (!add) grad_x_rows.setZero();
  grad_x_rows.noalias() += grad_y_rows * weights;
}

void ParameterGradientRows(const ProjectionShape& shape, const float* grad_y, const float* x, float* grad_weight,
                           float* grad_bias, int64_t first, int64_t count) {
  const MatrixView grad_ys(grad_y, shape.rows, shape.n_out);
  const auto columns = grad_ys.middleCols(first, count);
  const MatrixView xs(x, shape.rows, shape.n_in);
  MutableView grad_rows(grad_weight + first * shape.n_in, count, shape.n_in);
  grad_rows.setZero();
  grad_rows.noalias() += columns.transpose() * xs;
  if (grad_bias == nullptr) return;
  Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(count);
  for (int64_t row = 0; row < shape.rows; row += kSumRows) {
    sum += columns.middleRows(row, std::min(kSumRows, shape.rows - row)).colwise().sum().cast<double>();
  }
  Eigen::Map<Eigen::RowVectorXf>(grad_bias + first, count) = sum.cast<float>();
}

}  // namespace

const ProjectionKernels TOPK_PROJECTION_KERNELS = {ProjectRows, InputGradientRows, ParameterGradientRows};

}  // namespace topk
