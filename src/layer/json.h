// JSON from outside, read without trust.
#ifndef TOPK_SRC_LAYER_JSON_H_
#define TOPK_SRC_LAYER_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "topk/status.h"

namespace topk {

// Parses `text` into `value`. kInvalidArgument, with the place, for anything that is no JSON, for a key that stands
// twice in an object (readers would differ in which one counts) and for values nested deeper than `max_depth` (whose
// memory grows far beyond the text). Does not throw; kOutOfMemory if there is not enough memory.
Status ParseJson(std::string_view text, int max_depth, nlohmann::json& value);

// `text` in quotes for a message: cut if long, control characters replaced.
std::string Quoted(std::string_view text);

}  // namespace topk

#endif  // TOPK_SRC_LAYER_JSON_H_
