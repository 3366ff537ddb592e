#include "csv.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "cells.h"

namespace qwen_infer::eval {

std::string CsvNumber(double x) {
  if (std::isnan(x)) return "";
  std::array<char, 32> digits = {};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), x);
  return {digits.data(), end};
}

std::string CsvQuoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string CsvCells(const topk::Statistics& attention) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const bool any_mass = attention.mass_rows > 0;
  return CsvNumber(attention.KeptShare()) + "," + CsvNumber(any_mass ? attention.MeanMass() : kNone) + "," +
         CsvNumber(any_mass ? attention.mass_min : kNone);
}

std::string CsvCells(const Estimate& estimate) {
  return CsvNumber(estimate.mean) + "," + CsvNumber(estimate.low) + "," + CsvNumber(estimate.high);
}

}  // namespace qwen_infer::eval
