#include "tables.h"

#include <algorithm>
#include <cmath>

#include "cells.h"
#include "shared/fixed.h"

namespace qwen_infer::eval {

namespace {

std::string Change(const Estimate& change) { return WithInterval(change, 1, 2); }

std::string Millinats(const Estimate& kl) {
  constexpr double kMilli = 1000;
  return WithInterval(kl, kMilli, 3);
}

// Three digits: KL divergences span many orders of magnitude.
std::string Nats(double kl) {
  if (kl <= 0) return "0";
  return Fixed(kl, std::max(2 - static_cast<int>(std::floor(std::log10(kl))), 0));
}

std::string Bound(const topk::Statistics& attention) {
  return IsEveryRowMeasured(attention) ? Fixed(attention.DeviationBound(), 4) : kNothing;
}

double TokensPerSecond(const Report& report, const WaySummary& way) {
  return way.seconds > 0 ? static_cast<double>(report.summary.tokens_read) / way.seconds : 0;
}

}  // namespace

Table QualityTable(const Report& report) {
  Table table{.head = {"attention", "perplexity", "change, % (95 %)", "KL, mean", "KL, 99 %", "same best token", "kept",
                       "mean mass", "least mass", "bound", "tokens/s"},
              .rows = {}};
  for (size_t way = 0; way < report.summary.ways.size(); ++way) {
    const WaySummary& summary = report.summary.ways[way];
    const Quality& scored = summary.scored;
    const topk::Statistics& attention = summary.attention;
    const auto unless_full = [way](const std::string& text) { return way == kFullAttention ? kNothing : text; };
    table.rows.push_back({report.run.ways[way].name, Fixed(scored.perplexity, 4), unless_full(Change(scored.change)),
                          unless_full(Nats(scored.kl.mean)), unless_full(Nats(scored.kl_p99)),
                          unless_full(Percent(scored.agreement.mean, 2)), Percent(attention.KeptShare(), 1),
                          MeanMass(attention), LeastMass(attention), Bound(attention),
                          Fixed(TokensPerSecond(report, summary), 1)});
  }
  return table;
}

Table PositionTable(const Report& report) {
  Table table{.head = {"tokens before"}, .rows = {}};
  for (const Quality& quality : report.summary.ways.front().by_position) {
    table.head.push_back(NameOf(quality.positions));
  }
  for (size_t way = kFullAttention + 1; way < report.summary.ways.size(); ++way) {
    std::vector<std::string>& row = table.rows.emplace_back(1, report.run.ways[way].name);
    for (const Quality& quality : report.summary.ways[way].by_position) row.push_back(Change(quality.change));
  }
  return table;
}

Table DifferenceTable(const Report& report) {
  Table table{.head = {"setting", "against", "change, % (95 %)", "change of KL, 1/1000 (95 %)"}, .rows = {}};
  for (const Difference& difference : report.summary.differences) {
    table.rows.push_back({report.run.ways[difference.way].name, report.run.ways[difference.against].name,
                          Change(difference.change), Millinats(difference.kl)});
  }
  return table;
}

std::vector<std::string> Facts(const Report& report) {
  const Quality& scored = report.summary.ways.front().scored;
  std::vector<std::string> facts = FactsOf(report.run);
  facts.push_back(Count(report.summary.windows, "window") + " of " + WithCommas(report.window) +
                  " tokens, spread over " + WithCommas(report.text_bytes) + " bytes of " + Count(report.files, "file") +
                  "; hash of the tokens read: " + report.text_hash);
  facts.push_back(Count(scored.tokens, "token") + " scored, those with " + NameOf(scored.positions) + " before them");
  return facts;
}

std::vector<std::string> Legend(const Report& report) {
  std::vector<std::string> lines = {
      "change: of the perplexity against full attention, on the same tokens; in brackets the 95 % interval of a "
      "bootstrap over blocks of " +
          std::to_string(kBlockTokens) + " tokens, " + WithCommas(kResamples) + " times, seed " +
          std::to_string(report.seed) + "; of a single block there is none",
      "KL: divergence of the prediction from that of full attention, in nats: mean, and what 99 of 100 tokens do not "
      "exceed; same best token: both find the same one the most likely",
      "kept: share of the visible keys, over all rows (query and head) and positions; mass: share of the full softmax "
      "that the kept keys have",
      "bound: every number of a row's output differs from that of full attention by at most this times max|v|; 2 (1 - "
      "least mass), where the mass of every row was measured (mass=exact, or min_mass)"};
  for (const WaySummary& way : report.summary.ways) {
    const std::string note = MassNote(way.attention);
    if (note.empty()) continue;
    lines.push_back(note);
    break;
  }
  return lines;
}

}  // namespace qwen_infer::eval
