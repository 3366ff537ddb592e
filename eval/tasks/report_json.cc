#include <nlohmann/json.hpp>

#include "eval/json_parts.h"
#include "eval/tasks/report.h"

namespace qwen_infer::tasks {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson TaskJson(const TaskSummary& task, const std::vector<eval::WayName>& names) {
  OrderedJson json = {{"name", task.name},
                      {"examples", task.examples},
                      {"prompt_tokens", task.prompt_tokens},
                      {"ways", OrderedJson::array()},
                      {"comparisons", OrderedJson::array()}};
  for (const WaySummary& way : task.ways) {
    json["ways"].push_back({{"score", way.score},
                            {"correct", way.correct},
                            {"seconds", way.seconds},
                            {"attention", eval::AttentionJson(way.attention)}});
  }
  for (const Comparison& comparison : task.comparisons) {
    json["comparisons"].push_back({{"way", names[comparison.way].name},
                                   {"against", names[comparison.against].name},
                                   {"difference", EstimateJson(comparison.difference)},
                                   {"only_way", comparison.only_way},
                                   {"only_against", comparison.only_against},
                                   {"p_value", comparison.p_value}});
  }
  return json;
}

OrderedJson ResultJson(const Result& result) {
  OrderedJson json = {{"task", result.task},
                      {"index", result.index},
                      {"prompt_tokens", result.prompt_tokens},
                      {"references", result.references},
                      {"ways", OrderedJson::array()}};
  for (const Outcome& way : result.ways) json["ways"].push_back({{"score", way.score}, {"answer", way.answer}});
  return json;
}

}  // namespace

std::string Json(const Report& report) {
  OrderedJson json = FactsJson("qwen-infer eval-tasks", report.run);
  json.update({{"length", report.length},
               {"examples", report.examples},
               {"seed", report.seed},
               {"sentences", report.sentences},
               {"functions", report.functions},
               {"ways", OrderedJson::array()},
               {"tasks", OrderedJson::array()},
               {"results", OrderedJson::array()}});
  for (const eval::WayName& way : report.run.ways) json["ways"].push_back(WayNameJson(way));
  for (const TaskSummary& task : report.tasks) json["tasks"].push_back(TaskJson(task, report.run.ways));
  for (const Result& result : report.results) json["results"].push_back(ResultJson(result));
  return eval::TextOf(json);
}

}  // namespace qwen_infer::tasks
