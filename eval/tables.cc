#include "tables.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "markup.h"
#include "shared/fixed.h"

namespace qwen_infer::eval {

namespace {

constexpr const char* kNothing = "-";
constexpr double kPercent = 100;

std::string Signed(double x, int digits) {
  std::string text = Fixed(x, digits);
  return text.starts_with('-') ? text : "+" + text;
}

// "+0.65 (+0.40 to +0.90)", in units of which `scale` make one.
std::string WithInterval(const Estimate& estimate, double scale, int digits) {
  const auto number = [&](double x) { return Signed(scale * x, digits); };
  if (!estimate.HasInterval()) return number(estimate.mean) + " (no interval)";
  return number(estimate.mean) + " (" + number(estimate.low) + " to " + number(estimate.high) + ")";
}

std::string Change(const Estimate& change) { return WithInterval(change, 1, 2); }

std::string Millinats(const Estimate& kl) {
  constexpr double kMilli = 1000;
  return WithInterval(kl, kMilli, 3);
}

std::string Percent(double share, int digits) { return Fixed(kPercent * share, digits) + " %"; }

// Three digits: KL divergences span many orders of magnitude.
std::string Nats(double kl) {
  if (kl <= 0) return "0";
  return Fixed(kl, std::max(2 - static_cast<int>(std::floor(std::log10(kl))), 0));
}

bool IsEveryRowMeasured(const topk::Statistics& attention) {
  return attention.rows > 0 && attention.mass_rows == attention.rows;
}

std::string LeastMass(const topk::Statistics& attention) {
  if (attention.mass_rows == 0) return kNothing;
  return Fixed(attention.mass_min, 4) + (IsEveryRowMeasured(attention) ? "" : " *");
}

std::string Bound(const topk::Statistics& attention) {
  return IsEveryRowMeasured(attention) ? Fixed(attention.DeviationBound(), 4) : kNothing;
}

double TokensPerSecond(const Report& report, const WaySummary& way) {
  return way.seconds > 0 ? static_cast<double>(report.summary.tokens_read) / way.seconds : 0;
}

std::string WithCommas(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

// "1 window", "2 windows".
std::string Count(int64_t number, const std::string& what) {
  return WithCommas(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace

double KeptShare(const WaySummary& way) {
  const topk::Statistics& attention = way.attention;
  if (attention.keys_seen == 0) return 1;
  return static_cast<double>(attention.keys_kept) / static_cast<double>(attention.keys_seen);
}

Table QualityTable(const Report& report) {
  Table table{.head = {"attention", "perplexity", "change, % (95 %)", "KL, mean", "KL, 99 %", "same best token", "kept",
                       "mean mass", "least mass", "bound", "tokens/s"},
              .rows = {}};
  for (size_t way = 0; way < report.summary.ways.size(); ++way) {
    const WaySummary& summary = report.summary.ways[way];
    const Quality& scored = summary.scored;
    const topk::Statistics& attention = summary.attention;
    const auto unless_full = [way](const std::string& text) { return way == kFullAttention ? kNothing : text; };
    table.rows.push_back({report.ways[way].name, Fixed(scored.perplexity, 4), unless_full(Change(scored.change)),
                          unless_full(Nats(scored.kl.mean)), unless_full(Nats(scored.kl_p99)),
                          unless_full(Percent(scored.agreement.mean, 2)), Percent(KeptShare(summary), 1),
                          attention.mass_rows > 0 ? Fixed(attention.MeanMass(), 4) : kNothing, LeastMass(attention),
                          Bound(attention), Fixed(TokensPerSecond(report, summary), 1)});
  }
  return table;
}

Table PositionTable(const Report& report) {
  Table table{.head = {"tokens before"}, .rows = {}};
  for (const Quality& quality : report.summary.ways.front().by_position) {
    table.head.push_back(NameOf(quality.positions));
  }
  for (size_t way = kFullAttention + 1; way < report.summary.ways.size(); ++way) {
    std::vector<std::string>& row = table.rows.emplace_back(1, report.ways[way].name);
    for (const Quality& quality : report.summary.ways[way].by_position) row.push_back(Change(quality.change));
  }
  return table;
}

Table DifferenceTable(const Report& report) {
  Table table{.head = {"setting", "against", "change, % (95 %)", "change of KL, 1/1000 (95 %)"}, .rows = {}};
  for (const Difference& difference : report.summary.differences) {
    table.rows.push_back({report.ways[difference.way].name, report.ways[difference.against].name,
                          Change(difference.change), Millinats(difference.kl)});
  }
  return table;
}

std::vector<std::string> Facts(const Report& report) {
  const Quality& scored = report.summary.ways.front().scored;
  std::vector<std::string> facts = {
      report.date, report.model + " (" + report.model_description + "), K and V in " + report.cache_type,
      report.processor + ", " + Count(report.threads, "thread")};
  for (const auto& [name, version] : report.versions) facts.push_back(std::string(name).append(" ").append(version));
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
    if (way.attention.mass_rows == 0 || IsEveryRowMeasured(way.attention)) continue;
    lines.push_back("*: of the rows that were measured, " + WithCommas(way.attention.mass_rows) + " of " +
                    WithCommas(way.attention.rows));
    break;
  }
  return lines;
}

std::string MarkdownOf(const Table& table) {
  std::string text;
  const auto add_row = [&text](const std::vector<std::string>& cells) {
    text += "|";
    for (const std::string& cell : cells) text.append(" ").append(cell).append(" |");
    text += "\n";
  };
  add_row(table.head);
  text += "|---|";
  for (size_t i = 1; i < table.head.size(); ++i) text += "---:|";
  text += "\n";
  for (const std::vector<std::string>& row : table.rows) add_row(row);
  return text;
}

std::string HtmlOf(const Table& table) {
  std::string text = "<table>\n<thead><tr>";
  for (const std::string& cell : table.head) text += "<th scope=\"col\">" + Escaped(cell) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    text += "<tr><th scope=\"row\">" + Escaped(row.front()) + "</th>";
    for (size_t i = 1; i < row.size(); ++i) text += "<td>" + Escaped(row[i]) + "</td>";
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table>\n";
}

}  // namespace qwen_infer::eval
