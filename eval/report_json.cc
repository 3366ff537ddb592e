#include <nlohmann/json.hpp>

#include "json_parts.h"
#include "report.h"

namespace qwen_infer::eval {

namespace {

using OrderedJson = nlohmann::ordered_json;

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

OrderedJson WayJson(const WayName& name, const WaySummary& way, int64_t tokens_read) {
  OrderedJson json = WayNameJson(name);
  json.update({{"seconds", way.seconds},
               {"tokens_per_second", way.seconds > 0 ? static_cast<double>(tokens_read) / way.seconds : 0},
               {"attention", AttentionJson(way.attention)},
               {"scored", QualityJson(way.scored)},
               {"by_position", OrderedJson::array()}});
  for (const Quality& quality : way.by_position) json["by_position"].push_back(QualityJson(quality));
  return json;
}

}  // namespace

std::string Json(const Report& report) {
  OrderedJson json = FactsJson("qwen-infer eval", report.run);
  json.update({{"files", report.files},
               {"text_bytes", report.text_bytes},
               {"text_hash", report.text_hash},
               {"windows", report.summary.windows},
               {"window", report.window},
               {"tokens_read", report.summary.tokens_read},
               {"bootstrap", {{"seed", report.seed}, {"resamples", kResamples}, {"block_tokens", kBlockTokens}}},
               {"ways", OrderedJson::array()},
               {"differences", OrderedJson::array()}});
  for (size_t way = 0; way < report.run.ways.size(); ++way) {
    json["ways"].push_back(WayJson(report.run.ways[way], report.summary.ways[way], report.summary.tokens_read));
  }
  for (const Difference& difference : report.summary.differences) {
    json["differences"].push_back({{"setting", report.run.ways[difference.way].name},
                                   {"against", report.run.ways[difference.against].name},
                                   {"change_percent", EstimateJson(difference.change)},
                                   {"kl", EstimateJson(difference.kl)}});
  }
  return TextOf(json);
}

}  // namespace qwen_infer::eval
