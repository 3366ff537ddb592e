#include "serve_requests.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "serve_messages.h"

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
  bool or_switch = false;  // true and false are allowed, too
  bool or_zero = true;     // 0 is allowed if it is in the range
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMaxTokens = std::numeric_limits<int32_t>::max();  // what llama.cpp counts with
constexpr double kMaxSeed = std::numeric_limits<uint32_t>::max();
constexpr const char* kTokenCounts = "whole numbers from 0 to 2147483647, and -1 for as many as fit";
// llama.cpp answers 0 with one token. In `n_predict`, of its own routes, editors have a prompt read beforehand by it.
constexpr const char* kAnswerLengths = "whole numbers from 1 to 2147483647, and -1 for as many as fit";
constexpr const char* kProbabilityCounts = "whole numbers from 0 to 2147483647";

constexpr NumberField kNumberFields[] = {
    {"temperature", 0, kInfinity, false, "numbers from 0 (always the most likely token) on"},
    {"top_p", 0, 1, false, "numbers from 0 to 1 (off)"},
    {"min_p", 0, 1, false, "numbers from 0 (off) to 1"},
    {"top_k", -1, kMaxTokens, true, "whole numbers from 1 to 2147483647, and 0 or -1 for all tokens"},
    {"max_tokens", -1, kMaxTokens, true, kAnswerLengths, false, false},
    {"max_completion_tokens", -1, kMaxTokens, true, kAnswerLengths, false, false},
    {"n_predict", -1, kMaxTokens, true, kTokenCounts},
    {"seed", -1, kMaxSeed, true, "whole numbers from 0 to 4294967295, and -1 for another one each time"},
    {"mirostat", 0, 2, true, "0 (off), 1 and 2"},
    {"logprobs", 0, kMaxTokens, true, "true, false and whole numbers from 0 to 2147483647", true},
    {"top_logprobs", 0, kMaxTokens, true, kProbabilityCounts},
    {"n_probs", 0, kMaxTokens, true, kProbabilityCounts},
};

std::optional<Refusal> CheckNumber(const Json& body, const NumberField& field) {
  const auto found = body.find(field.name);
  if (found == body.end() || found->is_null()) return std::nullopt;
  if (field.or_switch && found->is_boolean()) return std::nullopt;
  if (found->is_number()) {
    const auto value = found->get<double>();
    const bool in_range = value >= field.min && value <= field.max && (value != 0 || field.or_zero);
    if (in_range && (!field.whole || value == std::trunc(value))) return std::nullopt;
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

// What is read of a body: the members of the object that it is. Arrays and objects among them, but the messages, are
// "discarded" or empty; what counts of their elements is noted here.
struct TopLevel {
  Json members;
  std::string bad_stop;            // what "stop" has in it, or is, that is no text
  bool prompt_has_empty = false;   // "prompt" is an array with an empty text in it
  bool prompt_has_tokens = false;  // "prompt" is an array, and not of texts alone
};

// An element of a member that is an array; null for one that is an array or an object itself.
void NoteElement(const std::string& key, const Json* element, TopLevel& top) {
  const bool is_text = element != nullptr && element->is_string();
  const bool is_empty = is_text && element->get_ref<const std::string&>().empty();
  if (key == "stop" && (!is_text || is_empty)) {
    top.bad_stop = element == nullptr ? "a list or an object" : element->dump();
  }
  if (key == "prompt") {
    top.prompt_has_empty |= is_empty;
    top.prompt_has_tokens |= !is_text;
  }
}

// Throws TooDeep and what Json::parse throws.
TopLevel ParseTopLevel(std::string_view body) {
  using Event = Json::parse_event_t;
  TopLevel top;
  std::string key;
  top.members = Json::parse(body, [&](int depth, Event event, Json& parsed) {
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= kMaxBodyDepth) throw TooDeep();
    if (event == Event::key && depth == 1) key = parsed.get_ref<const std::string&>();
    if (event == Event::object_start && depth == 1 && key == "stop") top.bad_stop = "an object";
    if (depth == 2 && (opens || event == Event::value)) NoteElement(key, opens ? nullptr : &parsed, top);
    if (depth > 0 && key == "messages") return true;
    // The parser passes over the numbers and texts in what is not kept.
    const bool looked_into = event == Event::array_start && (key == "stop" || key == "prompt");
    return depth == 0 || (depth == 1 && (!opens || looked_into));
  });
  return top;
}

// llama.cpp answers these with nothing, or with whatever comes to its mind.
std::optional<Refusal> CheckNotEmpty(const TopLevel& top) {
  if (top.members.contains("input_prefix") || top.members.contains("input_suffix")) return std::nullopt;
  if (top.prompt_has_empty && !top.prompt_has_tokens) {
    return Invalid("\"prompt\" has an empty text in it; send texts to continue");
  }
  const auto prompt = top.members.find("prompt");
  if (prompt == top.members.end() || !prompt->is_string()) return std::nullopt;
  if (!prompt->get_ref<const std::string&>().empty()) return std::nullopt;
  return Invalid("\"prompt\" is empty; send a text to continue");
}

// llama.cpp passes over a "stop" or a "logit_bias" of another type.
std::optional<Refusal> CheckTypes(const TopLevel& top) {
  std::string bad_stop = top.bad_stop;
  const auto stop = top.members.find("stop");
  if (stop != top.members.end() && stop->is_primitive() && !stop->is_null()) {
    if (!stop->is_string() || stop->get_ref<const std::string&>().empty()) bad_stop = stop->dump();
  }
  if (!bad_stop.empty()) {
    return Invalid("\"stop\" is, or has in it, " + bad_stop + "; allowed are a text and a list of texts, none empty");
  }
  const auto bias = top.members.find("logit_bias");
  if (bias == top.members.end() || bias->is_null() || !bias->is_primitive()) return std::nullopt;
  return Invalid("\"logit_bias\" is " + bias->dump() +
                 "; allowed are an object, {\"token\": bias}, and a list of pairs, [[token, bias]]");
}

// Reads the top level of the body; its members are null if the body is empty.
std::optional<Refusal> Read(std::string_view body, TopLevel& top) {
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
  TopLevel top;
  return Read(body, top);
}

std::optional<Refusal> CheckModelRequest(std::string_view body, std::span<const std::string> models) {
  TopLevel top;
  if (std::optional<Refusal> refusal = Read(body, top)) return refusal;
  if (!top.members.is_object()) return std::nullopt;
  if (std::optional<Refusal> refusal = CheckModel(top.members, models)) return refusal;
  for (const NumberField& field : kNumberFields) {
    if (std::optional<Refusal> refusal = CheckNumber(top.members, field)) return refusal;
  }
  if (std::optional<Refusal> refusal = CheckTypes(top)) return refusal;
  const bool is_chat = !top.members.contains("prompt") && !top.members.contains("input");
  const auto messages = top.members.find("messages");
  if (messages != top.members.end() && (is_chat || !messages->is_null())) {
    if (std::optional<std::string> reason = FindBadMessage(*messages)) return Invalid(std::move(*reason));
  }
  return CheckNotEmpty(top);
}

}  // namespace qwen_infer
