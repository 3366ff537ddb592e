#include "cells.h"

#include "shared/fixed.h"

namespace qwen_infer::eval {

namespace {

constexpr double kPercent = 100;

std::string Signed(double x, int digits) {
  std::string text = Fixed(x, digits);
  return text.starts_with('-') ? text : "+" + text;
}

}  // namespace

std::string WithInterval(const Estimate& estimate, double scale, int digits) {
  const auto number = [&](double x) { return Signed(scale * x, digits); };
  if (!estimate.HasInterval()) return number(estimate.mean) + " (no interval)";
  return number(estimate.mean) + " (" + number(estimate.low) + " to " + number(estimate.high) + ")";
}

std::string Percent(double share, int digits) { return Fixed(kPercent * share, digits) + " %"; }

std::string Count(int64_t number, const std::string& what) {
  return WithCommas(number) + " " + what + (number == 1 ? "" : "s");
}

bool IsEveryRowMeasured(const topk::Statistics& attention) {
  return attention.rows > 0 && attention.mass_rows == attention.rows;
}

std::string MeanMass(const topk::Statistics& attention) {
  return attention.mass_rows > 0 ? Fixed(attention.MeanMass(), 4) : kNothing;
}

std::string LeastMass(const topk::Statistics& attention) {
  if (attention.mass_rows == 0) return kNothing;
  return Fixed(attention.mass_min, 4) + (IsEveryRowMeasured(attention) ? "" : " *");
}

std::string MassNote(const topk::Statistics& attention) {
  if (attention.mass_rows == 0 || IsEveryRowMeasured(attention)) return "";
  return "*: of the rows that were measured, " + WithCommas(attention.mass_rows) + " of " + WithCommas(attention.rows);
}

}  // namespace qwen_infer::eval
