#include "topk/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <variant>

namespace topk {

namespace {

constexpr int64_t kMaxCount = int64_t{1} << 30;  // keys are indexed by 31 bits

using Member = std::variant<int64_t TopKOptions::*, float TopKOptions::*, bool TopKOptions::*, MassMode TopKOptions::*,
                            ScanMode TopKOptions::*>;

// What k may be besides a number.
constexpr std::string_view kAutoWord = "auto";

// A public field, where it lives and what it may hold.
struct FieldRule {
  OptionField field;
  Member member;
  double min = 0;
  double max = 0;
  std::string_view word = {};  // stands for word_value, a number out of this range
  int64_t word_value = 0;
};

// clang-format off
constexpr std::array<FieldRule, 12> kRules = {{
    {{"k", "auto|N", "auto or 1 to 1073741824", "256",
      "keys kept per query and head; auto: more where a row sees more"},
     &TopKOptions::k, 1, kMaxCount, kAutoWord, kAutoBudget},
    {{"temperature", "number", "0.001 to 1000", "1", "divides the scores: below 1 sharpens, above 1 flattens"},
     &TopKOptions::temperature, 0.001, 1000},
    {{"sinks", "integer", "0 to 1073741824", "0", "first visible keys, always kept on top of k"},
     &TopKOptions::sinks, 0, kMaxCount},
    {{"window", "integer", "0 to 1073741824", "0", "last visible keys, always kept on top of k"},
     &TopKOptions::window, 0, kMaxCount},
    {{"min_mass", "number", "0 to 1", "0", "grow the budget of a row until it holds this share of the full softmax"},
     &TopKOptions::min_mass, 0, 1},
    {{"max_k", "integer", "1 to 1073741824", "4096", "largest budget that min_mass may ask for"},
     &TopKOptions::max_k, 1, kMaxCount},
    {{"dense_beyond_max_k", "bool", "on or off", "on", "a row that needs more than max_k keys runs dense",
      "a row that needs more than max_k keys keeps max_k"},
     &TopKOptions::dense_beyond_max_k},
    {{"fallback", "bool", "on or off", "on", "full attention where k covers every visible key",
      "an error where k covers every visible key"},
     &TopKOptions::fallback},
    {{"crossover", "integer", "0 to 1073741824", "0", "rows with fewer visible keys run dense, where that is faster"},
     &TopKOptions::crossover, 0, kMaxCount},
    {{"sparse", "bool", "on or off", "off", "take the sparse path for every row, whatever the crossover",
      "rows below the crossover run dense"},
     &TopKOptions::sparse},
    {{"mass", "off|sampled|exact", "off, sampled or exact", "off",
      "measure the mass of no row, of one row in 64 to 256, of all"},
     &TopKOptions::mass},
    {{"scan", "auto|f32|int8|int16", "auto, f32, int8 or int16", "auto",
      "how long prompts are scored; all keep the same keys of a call"},
     &TopKOptions::scan},
}};
// clang-format on

// Words for the values of an enumeration, in its order.
template <typename Enum>
constexpr std::array<std::string_view, 0> kNames = {};
template <>
constexpr std::array<std::string_view, 3> kNames<MassMode> = {"off", "sampled", "exact"};
template <>
constexpr std::array<std::string_view, 4> kNames<ScanMode> = {"auto", "f32", "int8", "int16"};

Status Refuse(const OptionField& field, std::string_view value) {
  return InvalidArgument(std::string(field.name) + "=" + std::string(value) +
                         " is not allowed: " + std::string(field.name) + " is " + std::string(field.range));
}

std::string_view Trim(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of(' '), text.size());
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

template <typename Number>
bool ParseNumber(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseBool(std::string_view text, bool& out) {
  for (std::string_view word : {"on", "true", "1", "yes"}) {
    if (text == word) return out = true;
  }
  for (std::string_view word : {"off", "false", "0", "no"}) {
    if (text == word) return out = false, true;
  }
  return false;
}

std::string FormatNumber(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

// Reads the text of a value into the member; false if it is no such value.
struct Parser {
  TopKOptions& options;
  const FieldRule& rule;
  std::string_view text;

  bool InRange(double value) const { return value >= rule.min && value <= rule.max; }

  bool operator()(int64_t TopKOptions::* member) const {
    if (!rule.word.empty() && text == rule.word) {
      options.*member = rule.word_value;
      return true;
    }
    int64_t value = 0;
    if (!ParseNumber(text, value) || !InRange(static_cast<double>(value))) return false;
    options.*member = value;
    return true;
  }
  bool operator()(float TopKOptions::* member) const {
    float value = 0;
    if (!ParseNumber(text, value) || !InRange(value)) return false;
    options.*member = value;
    return true;
  }
  bool operator()(bool TopKOptions::* member) const { return ParseBool(text, options.*member); }
  template <typename Enum>
  bool operator()(Enum TopKOptions::* member) const {
    for (size_t i = 0; i < kNames<Enum>.size(); ++i) {
      if (text != kNames<Enum>[i]) continue;
      options.*member = static_cast<Enum>(i);
      return true;
    }
    return false;
  }
};

struct Formatter {
  const TopKOptions& options;
  const FieldRule& rule;

  std::string operator()(int64_t TopKOptions::* member) const {
    const bool is_word = !rule.word.empty() && options.*member == rule.word_value;
    return is_word ? std::string(rule.word) : std::to_string(options.*member);
  }
  std::string operator()(float TopKOptions::* member) const { return FormatNumber(options.*member); }
  std::string operator()(bool TopKOptions::* member) const { return options.*member ? "on" : "off"; }
  template <typename Enum>
  std::string operator()(Enum TopKOptions::* member) const {
    const auto index = static_cast<size_t>(options.*member);
    return index < kNames<Enum>.size() ? std::string(kNames<Enum>[index]) : std::to_string(index);
  }
};

}  // namespace

Status TopKOptions::Validate() const {
  TopKOptions copy;
  for (const FieldRule& rule : kRules) {
    const std::string value = std::visit(Formatter{*this, rule}, rule.member);
    if (!std::visit(Parser{copy, rule, value}, rule.member)) return Refuse(rule.field, value);
  }
  const int64_t most = k == kAutoBudget ? kMostAutoBudget : k;
  if (min_mass > 0 && max_k < most) {
    const std::string bound =
        k == kAutoBudget ? std::to_string(most) + ", the most that k=auto stands for" : "k=" + std::to_string(k);
    return InvalidArgument("max_k=" + std::to_string(max_k) + " is below " + bound +
                           ": with min_mass the budget grows from k to max_k");
  }
  return {};
}

std::span<const OptionField> OptionFields() {
  static const auto kFields = [] {
    std::array<OptionField, kRules.size()> out;
    for (size_t i = 0; i < kRules.size(); ++i) out[i] = kRules[i].field;
    return out;
  }();
  return kFields;
}

Status SetOption(TopKOptions& options, std::string_view name, std::string_view value) {
  name = Trim(name);
  value = Trim(value);
  std::string known;
  for (const FieldRule& rule : kRules) {
    if (rule.field.name == name) {
      return std::visit(Parser{options, rule, value}, rule.member) ? Status() : Refuse(rule.field, value);
    }
    known += (known.empty() ? "" : ", ") + std::string(rule.field.name);
  }
  return InvalidArgument("there is no option '" + std::string(name) + "'; the options are " + known);
}

std::string FormatOptions(const TopKOptions& options) {
  std::string out;
  for (const FieldRule& rule : kRules) {
    out += (out.empty() ? "" : ",") + std::string(rule.field.name) + "=" +
           std::visit(Formatter{options, rule}, rule.member);
  }
  return out;
}

}  // namespace topk
