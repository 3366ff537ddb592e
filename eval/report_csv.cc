#include <limits>

#include "cells.h"
#include "csv.h"
#include "report.h"

namespace qwen_infer::eval {

namespace {

// Of all positions together; empty cells for what was not measured.
std::string AttentionCells(const WaySummary& way, int64_t tokens_read) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const topk::Statistics& attention = way.attention;
  const bool every_mass = IsEveryRowMeasured(attention);
  return CsvCells(attention) + "," + CsvNumber(every_mass ? attention.DeviationBound() : kNone) + "," +
         CsvNumber(way.seconds > 0 ? static_cast<double>(tokens_read) / way.seconds : kNone);
}

std::string Row(const std::string& name, const std::string& range, const Quality& quality,
                const std::string& attention) {
  return CsvQuoted(name) + "," + range + "," + std::to_string(quality.positions.first) + "," +
         std::to_string(quality.positions.last - 1) + "," + std::to_string(quality.tokens) + "," +
         CsvNumber(quality.perplexity) + "," + CsvCells(quality.change) + "," + CsvCells(quality.kl) + "," +
         CsvNumber(quality.kl_p99) + "," + CsvCells(quality.agreement) + "," + attention + "\n";
}

}  // namespace

std::string Csv(const Report& report) {
  std::string text =
      "attention,range,first,last,tokens,perplexity,change_percent,change_percent_low,change_percent_high,kl,kl_low,"
      "kl_high,kl_p99,agreement,agreement_low,agreement_high,kept_share,mean_mass,min_mass,deviation_bound,"
      "tokens_per_second\n";
  for (size_t way = 0; way < report.run.ways.size(); ++way) {
    const std::string& name = report.run.ways[way].name;
    const WaySummary& summary = report.summary.ways[way];
    text += Row(name, "scored", summary.scored, AttentionCells(summary, report.summary.tokens_read));
    for (const Quality& quality : summary.by_position) text += Row(name, "position", quality, ",,,,");
  }
  return text;
}

}  // namespace qwen_infer::eval
