// Numbers that carry how far a computation in f32 may be from them: running error analysis (Wilkinson; Higham,
// "Accuracy and Stability of Numerical Algorithms", chapter 3). A loop written once for a number type gives with double
// the result and with Bounded the tolerance of a test.
#ifndef TOPK_SRC_LAYER_TESTING_BOUNDED_H_
#define TOPK_SRC_LAYER_TESTING_BOUNDED_H_

#include <cmath>
#include <cstdint>

namespace topk::testing {

inline constexpr double kUnit = 0x1p-24;  // of f32: half the distance from 1 to the next number

// |what f32 arithmetic gets - value| <= bound. The value is in f64, whose own rounding is beyond notice.
struct Bounded {
  double value = 0;
  double bound = 0;

  Bounded() = default;
  Bounded(double exact) : value(exact) {}  // NOLINT(google-explicit-constructor): stands in for double
  Bounded(double v, double b) : value(v), bound(b) {}
};

inline double Value(double x) { return x; }
inline double Value(const Bounded& x) { return x.value; }

inline Bounded Rounded(double value, double bound) { return {value, bound + kUnit * (std::abs(value) + bound)}; }
inline Bounded operator-(const Bounded& a, const Bounded& b) { return Rounded(a.value - b.value, a.bound + b.bound); }
inline Bounded operator*(const Bounded& a, const Bounded& b) {
  return Rounded(a.value * b.value, std::abs(a.value) * b.bound + std::abs(b.value) * a.bound + a.bound * b.bound);
}
inline Bounded operator/(const Bounded& a, const Bounded& b) {  // b is positive and far from 0
  const double quotient = a.value / b.value;
  return Rounded(quotient, (a.bound + std::abs(quotient) * b.bound) / (b.value - b.bound));
}

inline double Exp(double x) { return std::exp(x); }
// The kernels' exponential is a polynomial that is off by a few units in the last place; kExpUnits is generous.
inline Bounded Exp(const Bounded& x) {
  constexpr double kExpUnits = 8;
  const double value = std::exp(x.value);
  return {value, value * (std::expm1(x.bound) + kExpUnits * kUnit * std::exp(x.bound))};
}

// Sums of products. The bound holds for any order and grouping, with and without fused multiply-adds, because each
// product takes part in at most as many roundings as there are products.
template <typename T>
class Sum;

template <>
class Sum<double> {
 public:
  void Add(double a, double b) { value_ += a * b; }
  double Result() const { return value_; }

 private:
  double value_ = 0;
};

template <>
class Sum<Bounded> {
 public:
  void Add(const Bounded& a, const Bounded& b) {
    const double product = a.value * b.value;
    const double inherited = std::abs(a.value) * b.bound + std::abs(b.value) * a.bound + a.bound * b.bound;
    value_ += product;
    inherited_ += inherited;
    magnitude_ += std::abs(product) + inherited;
    ++count_;
  }
  Bounded Result() const {
    // Kernels that split a sum rescale its parts (online softmax, merges): a few roundings more.
    constexpr int64_t kRescalings = 8;
    const double n_units = kUnit * static_cast<double>(count_ + kRescalings);
    return {value_, inherited_ + n_units / (1 - n_units) * magnitude_};
  }

 private:
  double value_ = 0;
  double inherited_ = 0;
  double magnitude_ = 0;
  int64_t count_ = 0;
};

}  // namespace topk::testing

#endif  // TOPK_SRC_LAYER_TESTING_BOUNDED_H_
