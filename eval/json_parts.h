// What the JSON of all reports has in common.
#ifndef QWEN_INFER_EVAL_JSON_PARTS_H_
#define QWEN_INFER_EVAL_JSON_PARTS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bootstrap.h"
#include "run_facts.h"
#include "topk/attention.h"

namespace qwen_infer::eval {

// {"program", "command", "date", "cpu", "threads", "versions", "model", "model_description", "cache_type"}.
nlohmann::ordered_json FactsJson(const std::string& program, const RunFacts& run);

// {"name", "settings": null for full attention}.
nlohmann::ordered_json WayNameJson(const WayName& way);

// {"mean", "low", "high"}: of the 95 % interval.
nlohmann::ordered_json EstimateJson(const Estimate& estimate);

// {rows, keys, masses, "deviation_bound"}, null where there are none.
nlohmann::ordered_json AttentionJson(const topk::Statistics& attention);

// The whole document as a text.
std::string TextOf(const nlohmann::ordered_json& json);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_JSON_PARTS_H_
