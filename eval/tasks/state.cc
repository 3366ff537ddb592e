#include "eval/tasks/state.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace qwen_infer::tasks {

namespace {

using Json = nlohmann::json;

constexpr eval::StateFormat kFormat = {.name = "qwen-infer eval-tasks 1", .items = "examples"};

Json ResultJson(const Result& result) {
  Json ways = Json::array();
  for (const Outcome& way : result.ways) {
    ways.push_back({{"answer", way.answer},
                    {"score", way.score},
                    {"seconds", way.seconds},
                    {"attention", eval::StatisticsJson(way.attention)}});
  }
  return {{"task", result.task},
          {"index", result.index},
          {"prompt_tokens", result.prompt_tokens},
          {"references", result.references},
          {"ways", std::move(ways)}};
}

Result ResultOf(const Json& json) {
  Result result = {.task = json.at("task"),
                   .index = json.at("index"),
                   .prompt_tokens = json.at("prompt_tokens"),
                   .references = json.at("references")};
  for (const Json& way : json.at("ways")) {
    result.ways.push_back({.answer = way.at("answer"),
                           .score = way.at("score"),
                           .seconds = way.at("seconds"),
                           .attention = eval::StatisticsOf(way.at("attention"))});
  }
  return result;
}

}  // namespace

topk::Status SaveState(const std::string& path, const eval::RunIdentity& run, const std::vector<Result>& results) {
  Json items = Json::array();
  for (const Result& result : results) items.push_back(ResultJson(result));
  return SaveStateFile(path, kFormat, run, std::move(items));
}

topk::Status LoadState(const std::string& path, const eval::RunIdentity& run, std::vector<Result>& results) {
  results.clear();
  return LoadStateFile(path, kFormat, run, [&results](const Json& items) {
    std::vector<Result> loaded;
    for (const Json& item : items) loaded.push_back(ResultOf(item));
    results = std::move(loaded);
  });
}

}  // namespace qwen_infer::tasks
