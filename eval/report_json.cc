#include <nlohmann/json.hpp>

#include "report.h"

namespace qwen_infer::eval {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson EstimateJson(const Estimate& estimate) {
  return {{"mean", estimate.mean}, {"low", estimate.low}, {"high", estimate.high}};
}

OrderedJson QualityJson(const Quality& quality) {
  return {{"first", quality.positions.first},
          {"last", quality.positions.last - 1},
          {"tokens", quality.tokens},
          {"perplexity", quality.perplexity},
          {"change_percent", EstimateJson(quality.change)},
          {"kl", EstimateJson(quality.kl)},
          {"kl_p99", quality.kl_p99},
          {"agreement", EstimateJson(quality.agreement)}};
}

OrderedJson AttentionJson(const WaySummary& way) {
  const topk::Statistics& attention = way.attention;
  if (attention.rows == 0) return nullptr;
  const bool any_mass = attention.mass_rows > 0;
  const bool every_mass = attention.mass_rows == attention.rows;
  return {{"rows", attention.rows},
          {"dense_rows", attention.dense_rows},
          {"keys_seen", attention.keys_seen},
          {"keys_kept", attention.keys_kept},
          {"kept_share", KeptShare(way)},
          {"mass_rows", attention.mass_rows},
          {"mean_mass", any_mass ? OrderedJson(attention.MeanMass()) : OrderedJson(nullptr)},
          {"min_mass", any_mass ? OrderedJson(attention.mass_min) : OrderedJson(nullptr)},
          {"deviation_bound", every_mass ? OrderedJson(attention.DeviationBound()) : OrderedJson(nullptr)},
          {"seconds", attention.seconds}};
}

OrderedJson WayJson(const WayName& name, const WaySummary& way, int64_t tokens_read) {
  OrderedJson json = {{"name", name.name},
                      {"settings", name.settings.empty() ? OrderedJson(nullptr) : OrderedJson(name.settings)},
                      {"seconds", way.seconds},
                      {"tokens_per_second", way.seconds > 0 ? static_cast<double>(tokens_read) / way.seconds : 0},
                      {"attention", AttentionJson(way)},
                      {"scored", QualityJson(way.scored)},
                      {"by_position", OrderedJson::array()}};
  for (const Quality& quality : way.by_position) json["by_position"].push_back(QualityJson(quality));
  return json;
}

}  // namespace

std::string Json(const Report& report) {
  OrderedJson json = {{"program", "qwen-infer eval"},
                      {"command", report.command},
                      {"date", report.date},
                      {"cpu", report.processor},
                      {"threads", report.threads},
                      {"versions", report.versions},
                      {"model", report.model},
                      {"model_description", report.model_description},
                      {"cache_type", report.cache_type},
                      {"files", report.files},
                      {"text_bytes", report.text_bytes},
                      {"text_hash", report.text_hash},
                      {"windows", report.summary.windows},
                      {"window", report.window},
                      {"tokens_read", report.summary.tokens_read},
                      {"bootstrap", {{"seed", report.seed}, {"resamples", kResamples}, {"block_tokens", kBlockTokens}}},
                      {"ways", OrderedJson::array()},
                      {"differences", OrderedJson::array()}};
  for (size_t way = 0; way < report.ways.size(); ++way) {
    json["ways"].push_back(WayJson(report.ways[way], report.summary.ways[way], report.summary.tokens_read));
  }
  for (const Difference& difference : report.summary.differences) {
    json["differences"].push_back({{"setting", report.ways[difference.way].name},
                                   {"against", report.ways[difference.against].name},
                                   {"change_percent", EstimateJson(difference.change)},
                                   {"kl", EstimateJson(difference.kl)}});
  }
  // Names of files need not be UTF-8.
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace qwen_infer::eval
