// The file that an interrupted run goes on from: which run it is of, and what is finished of it.
//
// CBOR (RFC 8949): {"format": what has written it, "run": {what it is a run of, by name}, ITEMS: [...]}.
#ifndef QWEN_INFER_EVAL_STATE_FILE_H_
#define QWEN_INFER_EVAL_STATE_FILE_H_

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "topk/attention.h"
#include "topk/status.h"

namespace qwen_infer::eval {

// All that the figures depend on, by name: {"model": "8f2c...", "window": "4096", ...}.
using RunIdentity = std::map<std::string, std::string>;

struct StateFormat {
  std::string_view name;   // "qwen-infer eval 1"
  std::string_view items;  // what is in it, "windows"
};

// Whole or not at all, and on the disk. items: a list.
topk::Status SaveStateFile(const std::string& path, const StateFormat& format, const RunIdentity& run,
                           nlohmann::json items);

// Calls `read` with the items, if there is such a file; it throws for what are none. kInvalidArgument, naming what is
// different, for the state of another run, and for a file that is none.
topk::Status LoadStateFile(const std::string& path, const StateFormat& format, const RunIdentity& run,
                           const std::function<void(const nlohmann::json&)>& read);

nlohmann::json StatisticsJson(const topk::Statistics& statistics);
topk::Statistics StatisticsOf(const nlohmann::json& json);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_STATE_FILE_H_
