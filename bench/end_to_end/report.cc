#include "end_to_end/report.h"

#include <nlohmann/json.hpp>

#include "shared/fixed.h"

namespace qwen_infer::end_to_end_bench {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson WorkloadJson(const Workload& test) {
  return {{"test", test.KindName()}, {"tokens", test.tokens}, {"depth", test.depth}};
}

void AppendMeasurements(const Row& row, const Options& options, OrderedJson& measurements) {
  for (const Way way : kWays) {
    const std::vector<double>& rates = row.rates[IndexOf(way)];
    if (rates.empty()) continue;
    OrderedJson json = {{"method", NameOf(way)},
                        {"cache_k", ggml_type_name(options.type_k)},
                        {"cache_v", ggml_type_name(options.type_v)}};
    json.update(WorkloadJson(row.test));
    json["tokens_per_second"] = {{"median", Median(rates)}, {"rounds", rates}};
    measurements.push_back(std::move(json));
  }
}

OrderedJson RatioJson(const Row& row) {
  OrderedJson json = WorkloadJson(row.test);
  json["stock"] = NameOf(row.best_stock);
  json["median"] = row.speed_up.median;
  json["min"] = row.speed_up.min;
  json["max"] = row.speed_up.max;
  return json;
}

}  // namespace

std::string MarkdownHead(const Conditions& conditions, const Options& options) {
  std::string text = "`" + conditions.command + "`  \n" + conditions.date + "; " + conditions.processor + ", " +
                     std::to_string(options.threads) + (options.threads == 1 ? " thread" : " threads");
  for (const auto& [name, version] : conditions.versions) text.append("; ").append(name).append(" ").append(version);
  text.append("; KV cache ").append(ggml_type_name(options.type_k)).append("/").append(ggml_type_name(options.type_v));
  text += "; medians of " + std::to_string(options.repetitions) +
          " rounds in turns\n\nTokens per second. Ratio: top-k / the better way of llama.cpp, round by round. One "
          "prefill, with top-k attention, serves all ways.\n\n"
          "| test | llama.cpp, flash | llama.cpp, no flash | top-k | ratio (min - max) |\n"
          "|---|---:|---:|---:|---:|\n";
  return text;
}

std::string MarkdownLine(const Row& row) {
  std::string line = "| " + row.test.Name() + " |";
  for (const std::vector<double>& rates : row.rates) {
    line += " " + (rates.empty() ? "-" : Fixed(Median(rates), 1)) + " |";
  }
  return line + " **" + Fixed(row.speed_up.median, 2) + "** (" + Fixed(row.speed_up.min, 2) + " - " +
         Fixed(row.speed_up.max, 2) + ") |\n";
}

std::string Json(const Conditions& conditions, const Options& options, std::span<const Row> rows) {
  OrderedJson json = {
      {"cpu", conditions.processor},     {"threads", options.threads},           {"date", conditions.date},
      {"versions", conditions.versions}, {"command", conditions.command},        {"model", options.text.at("model")},
      {"settings", conditions.settings}, {"measurements", OrderedJson::array()}, {"ratios", OrderedJson::array()}};
  for (const Row& row : rows) {
    AppendMeasurements(row, options, json["measurements"]);
    json["ratios"].push_back(RatioJson(row));
  }
  return json.dump(2) + "\n";
}

}  // namespace qwen_infer::end_to_end_bench
