// The flags of a subcommand of our own as a table, from which parser, defaults, --help and, for benchmarks, the command
// that measures the same are derived. The Options of a benchmark have a `std::map<std::string, std::string> text`: the
// value of every flag but the files, as it was written, by name.
#ifndef QWEN_INFER_APPS_FLAG_TABLE_H_
#define QWEN_INFER_APPS_FLAG_TABLE_H_

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "nearest.h"
#include "topk/status.h"

namespace qwen_infer {

template <typename Options>
struct FlagRow {
  std::string_view name;
  std::string_view value_name;     // FILE: a file to write, no part of `text`; empty: a switch, which is read as "on"
  std::string_view allowed;        // completes "is not ..."
  std::string_view default_value;  // read like a value of the user's; empty: none
  std::string_view sentence;
  bool (*read)(std::string_view value, Options& options);
  std::string_view short_name = {};  // "-m"
  std::string_view alias = {};       // another name
  // The value in `options`, of flags that may change while the program runs; null: it may not.
  std::string (*show)(const Options& options) = nullptr;
};

// The shortest text that is read as this number.
template <typename T>
std::string ShowNumber(T number) {
  std::array<char, 32> text = {};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

// All of `text` as a number in [low, high].
template <typename T>
bool ReadNumber(std::string_view text, T low, T high, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= low && out <= high;
}

// "a,b,c"; at least one element.
template <typename T, typename ReadOne>
bool ReadList(std::string_view text, ReadOne read_one, std::vector<T>& out) {
  out.clear();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (!read_one(text.substr(begin, end - begin), out.emplace_back())) return false;
    begin = end + 1;
  }
  return true;
}

// A name of a file.
inline bool ReadPath(std::string_view text, std::string& out) {
  out = text;
  return !out.empty();
}

template <typename Options>
class FlagTable {
 public:
  // `rows` must outlive it.
  explicit constexpr FlagTable(std::span<const FlagRow<Options>> rows) : rows_(rows) {}

  // Reads flags (names with underscores or dashes; the value after a space or "="; the last one counts) over the
  // defaults. Refuses unknown flags and values that are not allowed, naming what is; `options` is then undefined.
  // given: names of the flags that were in the arguments, if not null.
  topk::Status Parse(std::span<const std::string_view> arguments, Options& options,
                     std::vector<std::string_view>* given = nullptr) const;

  // Reads "NAME VALUE", of a flag that may change while the program runs, its name with or without dashes in front.
  // Refuses what Parse refuses, and other flags; `options` is then undefined.
  topk::Status Change(std::string_view name_and_value, Options& options) const;

  // Lines of names and values: the flags that Change takes.
  std::string Show(const Options& options) const;

  // The lines of --help, one flag each with what it allows and its default.
  std::string Help() const;

  // `program` and every flag that is not at its default, without the files.
  std::string Command(std::string program, const Options& options) const;

 private:
  using Row = FlagRow<Options>;

  const Row* Find(std::string_view argument) const;
  topk::Status Apply(const Row& row, std::string_view value, Options& options) const;
  topk::Status Unknown(std::string_view argument) const;

  std::span<const Row> rows_;
};

// ---- implementation ----

template <typename Options>
const FlagRow<Options>* FlagTable<Options>::Find(std::string_view argument) const {
  std::string name(argument);
  std::replace(name.begin(), name.end(), '-', '_');
  for (const Row& row : rows_) {
    const bool is_short = !row.short_name.empty() && argument == row.short_name;
    if (is_short || name == "__" + std::string(row.name)) return &row;
    if (!row.alias.empty() && name == "__" + std::string(row.alias)) return &row;
  }
  return nullptr;
}

template <typename Options>
topk::Status FlagTable<Options>::Apply(const Row& row, std::string_view value, Options& options) const {
  if (!row.read(value, options)) {
    return topk::InvalidArgument("--" + std::string(row.name) + ": '" + std::string(value) + "' is not " +
                                 std::string(row.allowed));
  }
  if constexpr (requires { options.text; }) {
    if (row.value_name != "FILE") options.text[std::string(row.name)] = value;
  }
  return {};
}

template <typename Options>
topk::Status FlagTable<Options>::Unknown(std::string_view argument) const {
  std::string name(argument.substr(std::min(argument.find_first_not_of('-'), argument.size())));
  std::replace(name.begin(), name.end(), '-', '_');
  std::vector<std::string_view> known;
  for (const Row& row : rows_) known.push_back(row.name);
  const std::string_view nearest = NearestName(name, known);
  return topk::InvalidArgument("there is no flag " + std::string(argument) +
                               (nearest.empty() ? "" : "; did you mean --" + std::string(nearest) + "?"));
}

template <typename Options>
topk::Status FlagTable<Options>::Parse(std::span<const std::string_view> arguments, Options& options,
                                       std::vector<std::string_view>* given) const {
  for (const Row& row : rows_) {
    if (row.default_value.empty()) continue;
    if (topk::Status status = Apply(row, row.default_value, options); !status.ok()) return status;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const size_t equals = argument.find('=');
    const Row* row = Find(argument.substr(0, equals));
    if (row == nullptr) return Unknown(argument.substr(0, equals));
    const bool is_switch = row->value_name.empty();
    if (is_switch && equals != std::string_view::npos) {
      return topk::InvalidArgument(std::string(argument.substr(0, equals)) + " takes no value");
    }
    const bool value_follows = !is_switch && equals == std::string_view::npos;
    if (value_follows && (i + 1 == arguments.size() || arguments[i + 1].starts_with("--"))) {
      return topk::InvalidArgument(std::string(argument) + " needs a value: " + std::string(row->allowed));
    }
    std::string_view value = "on";
    if (!is_switch) value = value_follows ? arguments[++i] : argument.substr(equals + 1);
    if (topk::Status status = Apply(*row, value, options); !status.ok()) return status;
    if (given != nullptr) given->push_back(row->name);
  }
  return {};
}

template <typename Options>
topk::Status FlagTable<Options>::Change(std::string_view name_and_value, Options& options) const {
  constexpr std::string_view kBlanks = " \t";
  const std::string name(name_and_value.substr(0, name_and_value.find_first_of(kBlanks)));
  std::string_view value = name_and_value.substr(name.size());
  value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));

  const Row* row = nullptr;
  for (const char* dashes : {"", "-", "--"}) {
    if (row == nullptr) row = Find(dashes + name);
  }
  if (row == nullptr || row->show == nullptr) {
    std::string known;
    for (const Row& one : rows_) {
      if (one.show != nullptr) known.append(known.empty() ? "" : ", ").append(one.name);
    }
    return topk::InvalidArgument("'" + name + "' cannot be set; what can: " + known);
  }
  if (value.empty()) return topk::InvalidArgument(name + " needs a value: " + std::string(row->allowed));
  return Apply(*row, value, options);
}

template <typename Options>
std::string FlagTable<Options>::Show(const Options& options) const {
  std::string text;
  for (const Row& row : rows_) {
    if (row.show != nullptr) text.append(row.name).append(" ").append(row.show(options)).append("\n");
  }
  return text;
}

template <typename Options>
std::string FlagTable<Options>::Help() const {
  constexpr size_t kSentenceColumn = 22;
  std::string text;
  for (const Row& row : rows_) {
    std::string line = "  ";
    if (!row.short_name.empty()) line.append(row.short_name).append(", ");
    line.append("--").append(row.name);
    if (!row.value_name.empty()) line.append(" ").append(row.value_name);
    if (line.size() >= kSentenceColumn && !row.short_name.empty()) {
      line += "\n" + std::string(kSentenceColumn, ' ');
    } else {
      line.resize(std::max(kSentenceColumn, line.size() + 1), ' ');
    }
    text += line + std::string(row.sentence) + "\n";
    if (row.value_name.empty()) continue;
    text += std::string(kSentenceColumn, ' ') + "(" + std::string(row.allowed) +
            (row.default_value.empty() ? "" : "; default " + std::string(row.default_value)) + ")\n";
  }
  return text;
}

template <typename Options>
std::string FlagTable<Options>::Command(std::string program, const Options& options) const {
  for (const Row& row : rows_) {
    const auto found = options.text.find(std::string(row.name));
    if (found == options.text.end() || found->second == row.default_value) continue;
    program.append(" --").append(row.name);
    if (!row.value_name.empty()) program.append(" ").append(found->second);
  }
  return program;
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_FLAG_TABLE_H_
