#include "serve_requests.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;

Refusal Invalid(std::string message) {
  return {.status = 400, .type = "invalid_request_error", .message = std::move(message)};
}

// A number at the top of the body, with the range that it may be in, ends included.
struct NumberField {
  const char* name;
  double min;
  double max;
  bool whole;
  const char* allowed;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMaxTokens = std::numeric_limits<int32_t>::max();  // what llama.cpp counts with
constexpr const char* kTokenCounts = "whole numbers from 0 to 2147483647, and -1 for as many as fit";

constexpr NumberField kNumberFields[] = {
    {"temperature", 0, kInfinity, false, "numbers from 0 (always the most likely token) on"},
    {"top_p", 0, 1, false, "numbers from 0 to 1 (off)"},
    {"min_p", 0, 1, false, "numbers from 0 (off) to 1"},
    {"max_tokens", -1, kMaxTokens, true, kTokenCounts},
    {"max_completion_tokens", -1, kMaxTokens, true, kTokenCounts},
    {"n_predict", -1, kMaxTokens, true, kTokenCounts},
};

std::optional<Refusal> CheckNumber(const Json& body, const NumberField& field) {
  const auto found = body.find(field.name);
  if (found == body.end() || found->is_null()) return std::nullopt;
  if (found->is_number()) {
    const auto value = found->get<double>();
    if (value >= field.min && value <= field.max && (!field.whole || value == std::trunc(value))) return std::nullopt;
  }
  return Invalid("\"" + std::string(field.name) + "\" is " + found->dump() + "; allowed are " + field.allowed);
}

std::optional<Refusal> CheckModel(const Json& body, std::span<const std::string> models) {
  const auto found = body.find("model");
  if (found == body.end() || found->is_null() || models.empty()) return std::nullopt;
  if (!found->is_string()) return Invalid("\"model\" is " + found->dump() + "; it is to be a name, as a string");
  const auto& name = found->get_ref<const std::string&>();
  if (name.empty() || std::find(models.begin(), models.end(), name) != models.end()) return std::nullopt;
  // Not 404: llama.cpp's server replaces the message of those.
  return Invalid("there is no model '" + name + "' here; ask for '" + models.front() +
                 "', leave \"model\" out, or start the server with --alias '" + name + "'");
}

struct TooDeep : std::runtime_error {
  TooDeep() : std::runtime_error("too deep") {}
};

// The body without what is nested in it. Throws TooDeep and what Json::parse throws.
Json ParseTopLevel(std::string_view body) {
  return Json::parse(body, [](int depth, Json::parse_event_t event, Json& /*parsed*/) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= kMaxBodyDepth) throw TooDeep();
    return depth == 0 || (depth == 1 && !opens);
  });
}

// Reads the top level of the body; `top` is null if the body is empty.
std::optional<Refusal> Read(std::string_view body, Json& top) {
  if (body.empty()) return std::nullopt;
  if (body.size() > kMaxBodyBytes) {
    return Refusal{.status = 413,
                   .type = "invalid_request_error",
                   .message = "the body has " + std::to_string(body.size()) + " bytes, and at most " +
                              std::to_string(kMaxBodyBytes) + " are read; send less at once"};
  }
  try {
    top = ParseTopLevel(body);
  } catch (const TooDeep&) {
    return Invalid("the body is nested more than " + std::to_string(kMaxBodyDepth) + " levels deep; send it flatter");
  } catch (const Json::exception& error) {
    return Invalid(std::string("the body is not valid JSON in UTF-8 (which has no NaN and no Infinity): ") +
                   error.what());
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> CheckJson(std::string_view body) {
  Json top;
  return Read(body, top);
}

std::optional<Refusal> CheckModelRequest(std::string_view body, std::span<const std::string> models) {
  Json top;
  if (std::optional<Refusal> refusal = Read(body, top)) return refusal;
  if (!top.is_object()) return std::nullopt;
  if (std::optional<Refusal> refusal = CheckModel(top, models)) return refusal;
  for (const NumberField& field : kNumberFields) {
    if (std::optional<Refusal> refusal = CheckNumber(top, field)) return refusal;
  }
  return std::nullopt;
}

}  // namespace qwen_infer
