#include <array>
#include <charconv>

#include "report.h"

namespace qwen_infer::eval {

namespace {

// Every digit that the number has.
std::string Number(double x) {
  std::array<char, 32> digits = {};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), x);
  return {digits.data(), end};
}

// In quotes, which settings need for their commas.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string Cells(const Estimate& estimate) {
  return Number(estimate.mean) + "," + Number(estimate.low) + "," + Number(estimate.high);
}

std::string Row(const std::string& name, const std::string& range, const Quality& quality) {
  return Quoted(name) + "," + range + "," + std::to_string(quality.positions.first) + "," +
         std::to_string(quality.positions.last - 1) + "," + std::to_string(quality.tokens) + "," +
         Number(quality.perplexity) + "," + Cells(quality.change) + "," + Cells(quality.kl) + "," +
         Number(quality.kl_p99) + "," + Cells(quality.agreement) + "\n";
}

}  // namespace

std::string Csv(const Report& report) {
  std::string text =
      "attention,range,first,last,tokens,perplexity,change_percent,change_percent_low,change_percent_high,kl,kl_low,"
      "kl_high,kl_p99,agreement,agreement_low,agreement_high\n";
  for (size_t way = 0; way < report.ways.size(); ++way) {
    const std::string& name = report.ways[way].name;
    text += Row(name, "scored", report.summary.ways[way].scored);
    for (const Quality& quality : report.summary.ways[way].by_position) text += Row(name, "position", quality);
  }
  return text;
}

}  // namespace qwen_infer::eval
