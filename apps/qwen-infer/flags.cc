#include "flags.h"

#include <algorithm>
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

// The flag or switch that sets a field. An on/off field becomes the switch that leaves its default.
Flag FlagOfField(const topk::OptionField& field) {
  const std::string name(field.name);
  // The plugin's defaults, which come from measurements, are not the kernel library's.
  std::string default_value = DefaultValue(name);
  if (field.type == "bool") {
    const bool off = default_value == "off";
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
          .default_value = std::move(default_value),
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
  for (const topk::OptionField& field : SettingFields()) flags.push_back(FlagOfField(field));
  flags.push_back({.kind = Kind::kLayers,
                   .name = std::string(kPrefix) + "_layers",
                   .setting = "",
                   .value_name = "LIST",
                   .range = "NAME@LAYER=VALUE or NAME@FIRST-LAST=VALUE, comma-separated",
                   .default_value = "",
                   .sentence = "settings of single layers, such as k@0-1=1024,window@23=64"});
  flags.push_back({.kind = Kind::kProfile,
                   .name = std::string(kPrefix) + "_profile",
                   .setting = "profile",
                   .value_name = "FILE",
                   .range = "",
                   .default_value = "",
                   .sentence = "settings that qwen-infer tune made for the model; other flags win over it"});
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

// The long prefix that most flags share says nothing about which of them is meant: only what follows is compared.
std::string NearestFlag(std::string_view name) {
  const std::string prefix = std::string(kPrefix) + "_";
  const size_t shared = name.starts_with(prefix) ? prefix.size() : 0;
  std::vector<std::string_view> known;
  for (const Flag& flag : TopKFlags()) {
    if (shared == 0 || flag.name.starts_with(prefix)) known.push_back(std::string_view(flag.name).substr(shared));
  }
  const std::string_view nearest = NearestName(name.substr(shared), known);
  return nearest.empty() ? "" : std::string(name.substr(0, shared)) + std::string(nearest);
}

topk::Status UnknownFlag(std::string_view argument, std::string_view name) {
  std::string message = "there is no flag " + std::string(argument);
  const std::string nearest = NearestFlag(name);
  if (!nearest.empty()) message += "; did you mean --" + nearest + "?";
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

// What a value must be: "an integer from 1 to 4096", "off, sampled or exact".
std::string Expected(const Flag& flag) {
  if (flag.value_name == "N") return "an integer from " + flag.range;
  if (flag.value_name == "X") return "a number from " + flag.range;
  return flag.range.empty() ? flag.value_name : flag.range;
}

topk::Status RefuseValue(std::string_view argument, const std::string& value, std::string_view expected) {
  return topk::InvalidArgument(std::string(argument) + ": '" + value + "' is not " + std::string(expected));
}

// Reads one item of the text form.
topk::Status ApplyItem(const std::string& item, CommandLine& out) {
  topk::Status status = ParseSetting(item, out.settings);
  if (status.ok()) out.settings_text.append(out.settings_text.empty() ? "" : ",").append(item);
  return status;
}

// Reads "k@0-1=1024,window@23=64".
topk::Status ApplyLayers(const Flag& flag, const std::string& list, CommandLine& out) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string item = list.substr(begin, end - begin);
    // Without layers it would be another flag's business.
    if (item.find('@') == std::string::npos) return RefuseValue("--" + flag.name, item, Expected(flag));
    if (const topk::Status status = ApplyItem(item, out); !status.ok()) {
      return topk::InvalidArgument("--" + flag.name + ": '" + item + "': " + status.message());
    }
    begin = end + 1;
  }
  return {};
}

topk::Status ApplyProfile(const Flag& flag, const std::string& path, CommandLine& out) {
  // As the text form has it, and all that takes it.
  if (path.find(',') != std::string::npos) return RefuseValue("--" + flag.name, path, "a file name without commas");
  const topk::Status status = ApplyItem(flag.setting + "=" + path, out);
  return status.ok() ? status : topk::InvalidArgument("--" + flag.name + ": " + status.message());
}

// Reads a flag that takes a value.
topk::Status ApplyValue(const Flag& flag, const std::string& value, CommandLine& out) {
  if (flag.kind == Kind::kLayers) return ApplyLayers(flag, value, out);
  if (flag.kind == Kind::kSetting) {
    const topk::Status status = ApplyItem(flag.setting + "=" + value, out);
    return status.ok() ? status : RefuseValue("--" + flag.name, value, Expected(flag));
  }
  if (value.empty()) return topk::InvalidArgument("--" + flag.name + " needs a file name");
  if (flag.kind == Kind::kProfile) return ApplyProfile(flag, value, out);
  out.statistics_path = value;
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
  return ApplyItem(flag.setting + (state ? "=on" : "=off"), out);
}

// "max_k=256 is below k=512" with the flags that set them.
std::string WithFlagNames(std::string text) {
  for (const Flag& flag : TopKFlags()) {
    if (flag.setting.empty()) continue;
    const std::string pair = flag.setting + "=";
    for (size_t at = 0; (at = text.find(pair, at)) != std::string::npos;) {
      const bool whole_word = at == 0 || text[at - 1] == ' ';
      const std::string replacement = whole_word ? "--" + flag.name + "=" : pair;
      text.replace(at, pair.size(), replacement);
      at += replacement.size();
    }
  }
  return text;
}

// What -fa is given: one value, or in llama-bench a list each of whose values is measured.
struct FlashAttentionValues {
  bool any_off = false;
  bool all_known = true;
};

FlashAttentionValues ReadFlashAttentionValues(const std::string& text) {
  FlashAttentionValues values;
  const std::string list = text + ",";
  for (size_t begin = 0, end = 0; (end = list.find(',', begin)) != std::string::npos; begin = end + 1) {
    const std::string value = list.substr(begin, end - begin);
    const bool off = common_arg_utils::is_falsey(value);
    values.any_off |= off;
    values.all_known &= off || common_arg_utils::is_truthy(value) || common_arg_utils::is_autoy(value);
  }
  return values;
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
  // Values that are fine one by one may still exclude each other. A profile comes first, wherever its flag stands.
  topk::Status status = out.settings.Validate();
  if (status.ok() && out.settings.made_for != nullptr) {
    out.settings = Settings();
    status = ParseSettings(out.settings_text, out.settings);
  }
  return status.ok() ? status : topk::InvalidArgument(WithFlagNames(status.message()));
}

topk::Status ForceFlashAttention(std::string_view on, const char* environment, std::vector<std::string>& llama) {
  constexpr std::string_view kWhy = " turns flash attention off, which --use_top_k_attention needs: ";
  constexpr std::string_view kLeaveOut = "leave one of the two out";
  if (environment != nullptr && common_arg_utils::is_falsey(environment)) {
    return topk::InvalidArgument("LLAMA_ARG_FLASH_ATTN=" + std::string(environment) + std::string(kWhy) +
                                 std::string(kLeaveOut));
  }
  // First, so that they cannot become the value of a flag that lacks its own.
  std::vector<std::string> forced = {"-fa", std::string(on)};
  for (size_t i = 0; i < llama.size(); ++i) {
    const std::string& argument = llama[i];
    const size_t equals = argument.find('=');
    const std::string flag = argument.substr(0, equals);
    const bool has_value = equals != std::string::npos || i + 1 < llama.size();
    if (!has_value || (flag != "-fa" && flag != "--flash-attn" && flag != "--flash_attn")) {
      forced.push_back(argument);
      continue;
    }
    const std::string value = equals != std::string::npos ? argument.substr(equals + 1) : llama[i + 1];
    const FlashAttentionValues values = ReadFlashAttentionValues(value);
    if (values.any_off) {
      std::string given = argument;
      if (equals == std::string::npos) given.append(" ").append(value);
      const bool is_list = value.find(',') != std::string::npos;
      return topk::InvalidArgument(given + std::string(kWhy) +
                                   std::string(is_list ? "make two runs, one with each" : kLeaveOut));
    }
    if (values.all_known && equals == std::string::npos) {
      ++i;  // replaced by the pair at the front
    } else {
      forced.push_back(argument);  // llama.cpp says what is wrong with it
    }
  }
  llama = std::move(forced);
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
