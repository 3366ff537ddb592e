#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "report.h"

namespace qwen_infer::eval {

namespace {

// Every digit that the number has; an empty cell for none.
std::string Number(double x) {
  if (std::isnan(x)) return "";
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

// Of all positions together; empty cells for what was not measured.
std::string AttentionCells(const WaySummary& way, int64_t tokens_read) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const topk::Statistics& attention = way.attention;
  const bool any_mass = attention.mass_rows > 0;
  const bool every_mass = any_mass && attention.mass_rows == attention.rows;
  return Number(KeptShare(way)) + "," + Number(any_mass ? attention.MeanMass() : kNone) + "," +
         Number(any_mass ? attention.mass_min : kNone) + "," + Number(every_mass ? attention.DeviationBound() : kNone) +
         "," + Number(way.seconds > 0 ? static_cast<double>(tokens_read) / way.seconds : kNone);
}

std::string Row(const std::string& name, const std::string& range, const Quality& quality,
                const std::string& attention) {
  return Quoted(name) + "," + range + "," + std::to_string(quality.positions.first) + "," +
         std::to_string(quality.positions.last - 1) + "," + std::to_string(quality.tokens) + "," +
         Number(quality.perplexity) + "," + Cells(quality.change) + "," + Cells(quality.kl) + "," +
         Number(quality.kl_p99) + "," + Cells(quality.agreement) + "," + attention + "\n";
}

}  // namespace

std::string Csv(const Report& report) {
  std::string text =
      "attention,range,first,last,tokens,perplexity,change_percent,change_percent_low,change_percent_high,kl,kl_low,"
      "kl_high,kl_p99,agreement,agreement_low,agreement_high,kept_share,mean_mass,min_mass,deviation_bound,"
      "tokens_per_second\n";
  for (size_t way = 0; way < report.ways.size(); ++way) {
    const std::string& name = report.ways[way].name;
    const WaySummary& summary = report.summary.ways[way];
    text += Row(name, "scored", summary.scored, AttentionCells(summary, report.summary.tokens_read));
    for (const Quality& quality : summary.by_position) text += Row(name, "position", quality, ",,,,");
  }
  return text;
}

}  // namespace qwen_infer::eval
