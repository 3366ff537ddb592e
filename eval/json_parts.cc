#include "json_parts.h"

#include <nlohmann/json.hpp>

#include "cells.h"

namespace qwen_infer::eval {

using OrderedJson = nlohmann::ordered_json;

OrderedJson FactsJson(const std::string& program, const RunFacts& run) {
  return {{"program", program},
          {"command", run.command},
          {"date", run.date},
          {"cpu", run.processor},
          {"threads", run.threads},
          {"versions", run.versions},
          {"model", run.model},
          {"model_description", run.model_description},
          {"cache_type", run.cache_type}};
}

OrderedJson WayNameJson(const WayName& way) {
  return {{"name", way.name}, {"settings", way.settings.empty() ? OrderedJson(nullptr) : OrderedJson(way.settings)}};
}

OrderedJson EstimateJson(const Estimate& estimate) {
  return {{"mean", estimate.mean}, {"low", estimate.low}, {"high", estimate.high}};
}

OrderedJson AttentionJson(const topk::Statistics& attention) {
  if (attention.rows == 0) return nullptr;
  const bool any_mass = attention.mass_rows > 0;
  const bool every_mass = IsEveryRowMeasured(attention);
  return {{"rows", attention.rows},
          {"dense_rows", attention.dense_rows},
          {"keys_seen", attention.keys_seen},
          {"keys_kept", attention.keys_kept},
          {"kept_share", attention.KeptShare()},
          {"mass_rows", attention.mass_rows},
          {"mean_mass", any_mass ? OrderedJson(attention.MeanMass()) : OrderedJson(nullptr)},
          {"min_mass", any_mass ? OrderedJson(attention.mass_min) : OrderedJson(nullptr)},
          {"deviation_bound", every_mass ? OrderedJson(attention.DeviationBound()) : OrderedJson(nullptr)},
          {"seconds", attention.seconds}};
}

std::string TextOf(const OrderedJson& json) {
  // Names of files need not be UTF-8.
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace qwen_infer::eval
