// What the budget of one layer costs, from a few measured budgets to all between them.
#ifndef QWEN_INFER_EVAL_TUNE_CURVE_H_
#define QWEN_INFER_EVAL_TUNE_CURVE_H_

#include <cstdint>
#include <vector>

namespace qwen_infer::tune {

// One layer with a budget of k keys, all others with full attention.
struct CurvePoint {
  int64_t k = 0;
  double kl = 0;    // of the predictions from those with full attention everywhere, nats a token
  double mass = 0;  // mean share of the full softmax that the kept keys have
};

// Of one layer. More keys never cost more: where a measurement says otherwise, it is noise and is evened out.
class Curve {
 public:
  // Ascending in k, at least two.
  explicit Curve(std::vector<CurvePoint> points);

  const std::vector<CurvePoint>& points() const { return points_; }  // evened out

  // k within the measured budgets; those outside count as the nearest end. Between two measured budgets the divergence
  // is a power of k, as it is nearly everywhere on real models, and the mass is linear in log k.
  double Kl(int64_t k) const;
  double Mass(int64_t k) const;

 private:
  std::vector<CurvePoint> points_;
};

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_CURVE_H_
