// Structs of plain numbers and switches as JSON objects: one table of fields, from which checks, reading and writing
// follow.
#ifndef TOPK_SRC_LAYER_FIELDS_H_
#define TOPK_SRC_LAYER_FIELDS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "layer/json.h"
#include "topk/status.h"

namespace topk {

template <typename Struct>
struct Field {
  std::string_view name;
  std::variant<int64_t Struct::*, double Struct::*, bool Struct::*> member;
  std::string_view range;  // "an integer from 1 to 8"
  double min = 0;
  double max = 1;
  std::string_view word = {};  // stands in JSON for word_value, a value of its own outside of the range
  int64_t word_value = 0;

  bool IsWord(double value) const { return !word.empty() && value == static_cast<double>(word_value); }
};

inline Status RefuseField(std::string_view name, std::string_view value, std::string_view range) {
  return InvalidArgument(std::string(name) + "=" + std::string(value) + " is not allowed: " + std::string(name) +
                         " is " + std::string(range));
}

inline std::string FieldText(bool value) { return value ? "true" : "false"; }
inline std::string FieldText(int64_t value) { return std::to_string(value); }
inline std::string FieldText(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

// kInvalidArgument, naming field, value and range, for the first field that is out of range.
template <typename Struct>
Status ValidateFields(const Struct& from, std::span<const Field<Struct>> fields) {
  for (const Field<Struct>& field : fields) {
    const Status status = std::visit(
        [&](auto member) -> Status {
          const auto value = from.*member;
          const auto number = static_cast<double>(value);
          if ((number >= field.min && number <= field.max) || field.IsWord(number)) return {};  // false for NaN
          return RefuseField(field.name, FieldText(value), field.range);
        },
        field.member);
    if (!status.ok()) return status;
  }
  return {};
}

template <typename Struct>
std::string FieldsToJson(const Struct& from, std::span<const Field<Struct>> fields) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const Field<Struct>& field : fields) {
    nlohmann::ordered_json& value = object[std::string(field.name)];
    std::visit(
        [&](auto member) {
          value = from.*member;
          if (field.IsWord(static_cast<double>(from.*member))) value = std::string(field.word);
        },
        field.member);
  }
  return object.dump();
}

// Sets a member from a JSON value of its type; false if it is of another one. An integer is a number, too.
inline bool SetFromJson(const nlohmann::json& value, int64_t& out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) return false;
  out = value.get<int64_t>();
  return true;
}
inline bool SetFromJson(const nlohmann::json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return true;
}
inline bool SetFromJson(const nlohmann::json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}

// Whether a JSON value is this text; the empty one is none.
inline bool IsText(const nlohmann::json& value, std::string_view text) {
  return value.is_string() && !text.empty() && value.get_ref<const std::string&>() == text;
}

// Reads an object; fields that it leaves out get their defaults. Refuses other keys, listing the known ones, values of
// the wrong type and what Struct::Validate() refuses. `out` is unchanged on error.
template <typename Struct>
Status StructFromJson(std::string_view text, std::span<const Field<Struct>> fields, Struct& out) {
  nlohmann::json object;
  if (Status status = ParseJson(text, 2, object); !status.ok()) return status;
  if (!object.is_object())
    return InvalidArgument("a JSON object is needed, as in {\"k\": 32}, and not " + std::string(object.type_name()));
  Struct read;
  for (const auto& [key, value] : object.items()) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == key; });
    if (field == fields.end()) {
      std::string known;
      for (const Field<Struct>& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.name);
      return InvalidArgument("there is no field " + Quoted(key) + "; the fields are " + known);
    }
    const bool set = std::visit(
        [&](auto member) {
          if (IsText(value, field->word)) {
            read.*member = static_cast<std::decay_t<decltype(read.*member)>>(field->word_value);
            return true;
          }
          return SetFromJson(value, read.*member) && !field->IsWord(static_cast<double>(read.*member));
        },
        field->member);
    if (!set) return RefuseField(field->name, value.dump(-1, ' ', true), field->range);
  }
  if (Status status = read.Validate(); !status.ok()) return status;
  out = read;
  return {};
}

}  // namespace topk

#endif  // TOPK_SRC_LAYER_FIELDS_H_
