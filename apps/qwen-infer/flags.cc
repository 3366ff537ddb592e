#include "flags.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "arg.h"
#include "nearest.h"
#include "settings.h"
#include "topk/options.h"

namespace qwen_infer {

namespace {

using Kind = Flag::Kind;

constexpr std::string_view kUse = "use_top_k_attention";
constexpr std::string_view kUsePrefix = "use_top_k";  // none of llama.cpp's flags begins so
constexpr std::string_view kPrefix = "top_k_attention";

std::string ValueName(const topk::OptionField& field) {
  if (field.type == "integer") return "N";
  if (field.type == "number") return "X";
  return std::string(field.type);
}

// "k=256,temperature=1" as a map.
std::map<std::string, std::string, std::less<>> Pairs(const std::string& text) {
  std::map<std::string, std::string, std::less<>> pairs;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const size_t equals = text.find('=', begin);
    pairs[text.substr(begin, equals - begin)] = text.substr(equals + 1, end - equals - 1);
    begin = end + 1;
  }
  return pairs;
}

// The flag or switch that sets a field. An on/off field becomes the switch that leaves its default.
Flag FlagOfField(const topk::OptionField& field) {
  const std::string name(field.name);
  if (field.type == "bool") {
    const bool off = field.default_value == "off";
    return {.kind = off ? Kind::kSwitchOn : Kind::kSwitchOff,
            .name = std::string(kPrefix) + (off ? "_" : "_no_") + name,
            .setting = name,
            .value_name = "",
            .range = "",
            .default_value = "",
            .sentence = std::string(off ? field.sentence : field.off_sentence)};
  }
  return {.kind = Kind::kSetting,
          .name = std::string(kPrefix) + "_" + name,
          .setting = name,
          .value_name = ValueName(field),
          .range = std::string(field.range),
          .default_value = std::string(field.default_value),
          .sentence = std::string(field.sentence)};
}

std::vector<Flag> MakeFlags() {
  std::vector<Flag> flags;
  flags.push_back({.kind = Kind::kUse,
                   .name = std::string(kUse),
                   .setting = "",
                   .value_name = "",
                   .range = "",
                   .default_value = "",
                   .sentence = "attend to the k best keys of each query only; turns flash attention on"});
  // The plugin's defaults, which come from measurements, are not the kernel library's.
  const auto defaults = Pairs(topk::FormatOptions(DefaultOptions()));
  for (topk::OptionField field : topk::OptionFields()) {
    if (const auto found = defaults.find(field.name); found != defaults.end()) field.default_value = found->second;
    flags.push_back(FlagOfField(field));
  }
  flags.push_back({.kind = Kind::kSetting,
                   .name = std::string(kPrefix) + "_dense_layers",
                   .setting = "dense_layers",
                   .value_name = "N",
                   .range = "0 to " + std::to_string(kMaxLayer + 1),
                   .default_value = "0",
                   .sentence = "the first N layers keep full attention"});
  flags.push_back({.kind = Kind::kLayers,
                   .name = std::string(kPrefix) + "_layers",
                   .setting = "",
                   .value_name = "LIST",
                   .range = "NAME@LAYER=VALUE or NAME@FIRST-LAST=VALUE, comma-separated",
                   .default_value = "",
                   .sentence = "settings of single layers, such as k@0-1=1024,window@23=64"});
  flags.push_back({.kind = Kind::kStatistics,
                   .name = std::string(kPrefix) + "_stats",
                   .setting = "",
                   .value_name = "FILE.json",
                   .range = "",
                   .default_value = "",
                   .sentence = "write statistics and timings of the run; alone, timings of full attention"});
  return flags;
}

const Flag* FindFlag(std::string_view name) {
  for (const Flag& flag : TopKFlags()) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

// The other direction of a switch is understood too, though --help does not list it: sparse and no_sparse.
std::optional<std::pair<const Flag*, bool>> FindSwitch(std::string_view name) {
  for (const Flag& flag : TopKFlags()) {
    if (flag.kind != Kind::kSwitchOn && flag.kind != Kind::kSwitchOff) continue;
    const std::string positive = std::string(kPrefix) + "_" + flag.setting;
    if (name == positive) return std::pair(&flag, true);
    if (name == std::string(kPrefix) + "_no_" + flag.setting) return std::pair(&flag, false);
  }
  return std::nullopt;
}

std::optional<bool> ParseSwitchValue(const std::string& value) {
  if (common_arg_utils::is_truthy(value)) return true;
  if (common_arg_utils::is_falsey(value)) return false;
  return std::nullopt;
}

topk::Status UnknownFlag(std::string_view argument, std::string_view name) {
  std::vector<std::string_view> known;
  for (const Flag& flag : TopKFlags()) known.push_back(flag.name);
  std::string message = "there is no flag " + std::string(argument);
  const std::string_view nearest = NearestName(name, known);
  if (!nearest.empty()) message += "; did you mean --" + std::string(nearest) + "?";
  return topk::InvalidArgument(message + " --help lists the flags");
}

// An argument that is ours: its name with underscores and, if it has one, the value after "=".
struct Argument {
  std::string name;
  std::optional<std::string> value;
};

std::optional<Argument> AsOurs(std::string_view text) {
  if (!text.starts_with("--")) return std::nullopt;
  text.remove_prefix(2);
  Argument argument;
  const size_t equals = text.find('=');
  if (equals != std::string_view::npos) argument.value = text.substr(equals + 1);
  argument.name = text.substr(0, equals);
  std::replace(argument.name.begin(), argument.name.end(), '-', '_');
  if (!argument.name.starts_with(kUsePrefix) && !argument.name.starts_with(kPrefix)) return std::nullopt;
  return argument;
}

void AddSetting(std::string_view pairs, CommandLine& out) {
  if (!out.settings.empty()) out.settings += ",";
  out.settings += pairs;
}

// What a value must be: "an integer from 1 to 4096", "off, sampled or exact".
std::string Expected(const Flag& flag) {
  if (flag.value_name == "N") return "an integer from " + flag.range;
  if (flag.value_name == "X") return "a number from " + flag.range;
  return flag.range.empty() ? flag.value_name : flag.range;
}

topk::Status RefuseValue(std::string_view argument, const std::string& value, std::string_view expected) {
  return topk::InvalidArgument(std::string(argument) + ": '" + value + "' is not " + std::string(expected));
}

// Reads a flag that takes a value.
topk::Status ApplyValue(const Flag& flag, const std::string& value, CommandLine& out) {
  const std::string pairs = flag.kind == Kind::kLayers ? value : flag.setting + "=" + value;
  if (flag.kind == Kind::kStatistics) {
    if (value.empty()) return topk::InvalidArgument("--" + flag.name + " needs a file name");
    out.statistics_path = value;
    return {};
  }
  if (flag.kind == Kind::kLayers && pairs.find('@') == std::string::npos) {
    return RefuseValue("--" + flag.name, value, Expected(flag));
  }
  // A comma would smuggle in further settings, under this flag's name.
  if (flag.kind == Kind::kSetting && value.find(',') != std::string::npos) {
    return RefuseValue("--" + flag.name, value, Expected(flag));
  }
  if (flag.kind == Kind::kSetting && flag.setting != "dense_layers") {
    topk::TopKOptions scratch;
    if (topk::Status status = topk::SetOption(scratch, flag.setting, value); !status.ok()) {
      return RefuseValue("--" + flag.name, value, Expected(flag));
    }
  }
  AddSetting(pairs, out);
  return {};
}

// Reads a flag that is a switch, with or without "=on" or "=off".
topk::Status ApplySwitch(std::string_view text, const Flag& flag, bool positive,
                         const std::optional<std::string>& value, CommandLine& out) {
  const std::optional<bool> on = value ? ParseSwitchValue(*value) : true;
  if (!on) return RefuseValue(text.substr(0, text.find('=')), *value, "on or off");
  const bool state = *on == positive;
  if (flag.kind == Kind::kUse) {
    out.use_top_k_attention = state;
    return {};
  }
  if (flag.setting == "fallback") out.fallback = state;
  AddSetting(flag.setting + (state ? "=on" : "=off"), out);
  return {};
}

// Values that are fine one by one may still exclude each other. The plugin's message ends with its own list of
// settings, which is not the one that a user of flags needs.
topk::Status CheckTogether(std::string_view pairs) {
  Settings settings;
  const topk::Status status = ParseSettings(pairs, settings);
  return status.ok() ? status : topk::InvalidArgument(status.message().substr(0, status.message().find('\n')));
}

}  // namespace

std::span<const Flag> TopKFlags() {
  static const std::vector<Flag> kFlags = MakeFlags();
  return kFlags;
}

bool IsTopKFlag(std::string_view argument) { return AsOurs(argument).has_value(); }

topk::Status ParseCommandLine(std::span<const std::string_view> arguments, CommandLine& out) {
  std::string first_setting;  // as spelled, for the error below
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view text = arguments[i];
    const std::optional<Argument> argument = AsOurs(text);
    if (!argument) {
      out.llama.emplace_back(text);
      continue;
    }
    const Flag* flag = FindFlag(argument->name);
    bool positive = true;
    if (const auto found = FindSwitch(argument->name)) std::tie(flag, positive) = *found;
    if (flag == nullptr) return UnknownFlag(text.substr(0, text.find('=')), argument->name);

    if (flag->value_name.empty()) {
      if (topk::Status status = ApplySwitch(text, *flag, positive, argument->value, out); !status.ok()) return status;
    } else {
      if (!argument->value && (i + 1 == arguments.size() || IsTopKFlag(arguments[i + 1]))) {
        return topk::InvalidArgument(std::string(text) + " needs a value: " + Expected(*flag));
      }
      const std::string value = argument->value ? *argument->value : std::string(arguments[++i]);
      if (topk::Status status = ApplyValue(*flag, value, out); !status.ok()) return status;
    }
    if (flag->kind != Kind::kUse && flag->kind != Kind::kStatistics && first_setting.empty()) {
      first_setting = text.substr(0, text.find('='));
    }
  }
  if (!first_setting.empty() && !out.use_top_k_attention) {
    return topk::InvalidArgument(first_setting + " has no effect on full attention: add --" + std::string(kUse) +
                                 ", or leave it out");
  }
  return CheckTogether(out.settings);
}

topk::Status ForceFlashAttention(std::string_view on, const char* environment, std::vector<std::string>& llama) {
  constexpr std::string_view kWhy =
      " turns flash attention off, which --use_top_k_attention needs: leave one of the two out";
  if (environment != nullptr && common_arg_utils::is_falsey(environment)) {
    return topk::InvalidArgument("LLAMA_ARG_FLASH_ATTN=" + std::string(environment) + std::string(kWhy));
  }
  std::vector<std::string> rest;
  for (size_t i = 0; i < llama.size(); ++i) {
    const std::string& flag = llama[i];
    const bool is_flash_attention = flag == "-fa" || flag == "--flash-attn" || flag == "--flash_attn";
    if (!is_flash_attention || i + 1 == llama.size()) {
      rest.push_back(flag);
      continue;
    }
    // llama-bench takes a list and measures each of its values.
    bool understood = true;
    const std::string list = llama[i + 1] + ",";
    for (size_t begin = 0, end = 0; (end = list.find(',', begin)) != std::string::npos; begin = end + 1) {
      const std::string value = list.substr(begin, end - begin);
      if (common_arg_utils::is_falsey(value)) {
        return topk::InvalidArgument(flag + " " + llama[i + 1] + std::string(kWhy));
      }
      understood &= common_arg_utils::is_truthy(value) || common_arg_utils::is_autoy(value);
    }
    if (understood) {
      ++i;  // replaced by the pair below
    } else {
      rest.push_back(flag);  // llama.cpp says what is wrong with the value
    }
  }
  rest.emplace_back("-fa");
  rest.emplace_back(on);
  llama = std::move(rest);
  return {};
}

std::string LlamaFlagValue(std::span<const std::string> llama, std::span<const std::string_view> names) {
  std::string value;
  for (size_t i = 0; i + 1 < llama.size(); ++i) {
    if (std::find(names.begin(), names.end(), llama[i]) != names.end()) value = llama[i + 1];
  }
  return value;
}

bool HasLlamaFlag(std::span<const std::string> llama, std::span<const std::string_view> names) {
  return std::any_of(llama.begin(), llama.end(), [names](const std::string& argument) {
    return std::find(names.begin(), names.end(), argument) != names.end();
  });
}

}  // namespace qwen_infer
