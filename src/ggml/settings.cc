#include "settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "crossover.h"
#include "profile.h"

namespace qwen_infer {
namespace {

using topk::InvalidArgument;
using topk::Status;

constexpr std::string_view kRecord = "record";
constexpr std::string_view kProfile = "profile";
constexpr std::string_view kCrossover = "crossover";
constexpr std::string_view kAuto = "auto";
constexpr std::string_view kCrossoverRange = "auto or 0 to 1073741824";  // auto, or what topk allows
// topk's own upper limit of k.
constexpr int64_t kMaxBudget = int64_t{1} << 30;

// A setting that is no option of the kernels: a number for all layers together.
struct OwnField {
  topk::OptionField field;
  int64_t Settings::* member;
  int64_t min;
  int64_t max;
};

// clang-format off
constexpr std::array<OwnField, 3> kOwnFields = {{
    {{"dense_layers", "integer", "0 to 10000", "0", "layers below this one keep all keys"},
     &Settings::dense_layers, 0, kMaxLayer + 1},
    {{"record_queries", "integer", "1 to 1073741824", "512", "what record@N=FILE saves is a pass of this many queries"},
     &Settings::record_queries, 1, kMaxBudget},
    {{"record_keys", "integer", "1 to 1073741824", "1", "... and the first with at least this many keys"},
     &Settings::record_keys, 1, kMaxBudget},
}};
// clang-format on

const OwnField* FindOwnField(std::string_view name) {
  const auto* found = std::find_if(kOwnFields.begin(), kOwnFields.end(),
                                   [name](const OwnField& own) { return own.field.name == name; });
  return found == kOwnFields.end() ? nullptr : found;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  quoted.append(text).append("\"");
  return quoted;
}

Status RefuseOwn(const OwnField& own, std::string_view value) {
  std::string message(own.field.name);
  return InvalidArgument(message.append(" is ").append(value).append(", allowed is ").append(own.field.range));
}

std::optional<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) return std::nullopt;
  return number;
}

// Reads "N" or "A-B" into the override.
Status ParseLayers(std::string_view text, LayerOverride& item) {
  const size_t dash = text.find('-');
  const std::optional<int64_t> first = ParseInteger(text.substr(0, dash), 0, kMaxLayer);
  const std::optional<int64_t> last =
      dash == std::string_view::npos ? first : ParseInteger(text.substr(dash + 1), 0, kMaxLayer);
  if (!first || !last || *first > *last) {
    return InvalidArgument(
        Quoted(text) + " is not a layer N or a range of layers A-B with 0 <= A <= B <= " + std::to_string(kMaxLayer));
  }
  item.first = static_cast<int>(*first);
  item.last = static_cast<int>(*last);
  return {};
}

// Reads the FILE of "record@N=FILE" for the layers of the override.
Status AddRecording(const LayerOverride& item, Settings& settings) {
  if (item.first != item.last) return InvalidArgument("each layer needs a file of its own: record@N=FILE");
  if (item.value.empty()) return InvalidArgument("the name of a file is missing: record@N=FILE");
  settings.recordings[item.first] = item.value;
  return {};
}

// Sets an option of topk's; the crossover may be "auto", too.
Status SetOption(std::string_view name, std::string_view value, topk::TopKOptions& options, bool& auto_crossover) {
  if (name != kCrossover) return topk::SetOption(options, name, value);
  auto_crossover = value == kAuto;
  if (auto_crossover || topk::SetOption(options, name, value).ok()) return {};
  std::string message = "crossover=";
  return InvalidArgument(message.append(value).append(" is not allowed: crossover is ").append(kCrossoverRange));
}

// The name in "name=value" and in "name@N=value".
std::string_view NameOf(std::string_view item) { return Trim(item.substr(0, item.find_first_of("=@"))); }

// Calls fn(item) for each item of the text form until one fails: that item, and why.
template <typename Fn>
std::pair<std::string_view, Status> ForEachItem(std::string_view text, Fn&& fn) {
  for (std::string_view rest = text; !Trim(text).empty();) {
    const size_t comma = rest.find(',');
    const std::string_view item = Trim(rest.substr(0, comma));
    if (Status status = fn(item); !status.ok()) return {item, status};
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return {};
}

// Reads the file of "profile=FILE" under what `settings` has for single layers.
Status ApplyProfile(std::string_view path, Settings& settings) {
  if (path.empty()) return InvalidArgument("the name of a file is missing: profile=FILE");
  Profile profile;
  if (Status status = ReadProfile(std::string(path), profile); !status.ok()) return status;
  Settings changed = settings;
  std::vector<LayerOverride> others = std::move(changed.overrides);
  std::erase_if(others, [](const LayerOverride& o) { return o.of_profile; });
  changed.overrides.clear();
  const auto [item, status] = ForEachItem(profile.settings, [&changed](std::string_view one) {
    // No file is to have others read or written.
    const bool has_file = NameOf(one) == kProfile || NameOf(one) == kRecord;
    return has_file ? InvalidArgument("not in a profile") : ParseSetting(one, changed);
  });
  if (!status.ok()) {
    return InvalidArgument("cannot use the profile " + std::string(path) + ": its setting " + Quoted(item) + ": " +
                           status.message());
  }
  for (LayerOverride& of_layer : changed.overrides) of_layer.of_profile = true;
  changed.overrides.insert(changed.overrides.end(), others.begin(), others.end());
  changed.made_for = std::make_shared<const ProfiledModel>(std::move(profile.model));
  settings = std::move(changed);
  return {};
}

std::string FormatOverride(const LayerOverride& item) {
  std::string text = item.name + "@" + std::to_string(item.first);
  if (item.last != item.first) text.append("-").append(std::to_string(item.last));
  return text.append("=").append(item.value);
}

std::string FormatRecording(int layer, const std::string& file) {
  return std::string(kRecord) + "@" + std::to_string(layer) + "=" + file;
}

void ApplyOverrides(const std::vector<LayerOverride>& overrides, int layer, topk::TopKOptions& options,
                    bool& auto_crossover) {
  for (const LayerOverride& item : overrides) {
    if (layer < item.first || layer > item.last) continue;
    // Parsed before, so it can't fail; if it did, the layer would keep the plain value.
    static_cast<void>(SetOption(item.name, item.value, options, auto_crossover).ok());
  }
}

}  // namespace

topk::TopKOptions DefaultOptions() {
  topk::TopKOptions options;
  options.k = 256;
  options.crossover = kDefaultCrossover;
  options.mass = topk::MassMode::kSampled;
  return options;
}

std::string DefaultValue(std::string_view name) {
  // Commas before every name and after every value.
  std::string text = ",";
  text.append(FormatSettings(Settings())).append(",");
  std::string key = ",";
  key.append(name).append("=");
  const size_t begin = text.find(key);
  if (begin == std::string::npos) return {};
  const size_t value = begin + key.size();
  return text.substr(value, text.find(',', value) - value);
}

Status Settings::Validate() const {
  for (const OwnField& own : kOwnFields) {
    const int64_t value = this->*own.member;
    if (value < own.min || value > own.max) return RefuseOwn(own, std::to_string(value));
  }
  if (Status status = options.Validate(); !status.ok()) return status;
  // Options change only where an override begins or ends.
  for (const LayerOverride& item : overrides) {
    for (const int layer : {item.first, item.last, item.last + 1}) {
      topk::TopKOptions of_layer = options;
      bool of_layer_auto = auto_crossover;
      ApplyOverrides(overrides, layer, of_layer, of_layer_auto);
      if (Status status = of_layer.Validate(); !status.ok()) {
        std::string message = "layer ";
        return InvalidArgument(message.append(std::to_string(layer)).append(": ").append(status.message()));
      }
    }
  }
  return {};
}

NamedLayer Settings::LastNamedLayer() const {
  NamedLayer last;
  const auto note = [&last](int layer, std::string setting) {
    if (layer > last.layer) last = {layer, std::move(setting)};
  };
  note(static_cast<int>(dense_layers) - 1, "dense_layers=" + std::to_string(dense_layers));
  for (const LayerOverride& item : overrides) note(item.last, FormatOverride(item));
  for (const auto& [layer, file] : recordings) note(layer, FormatRecording(layer, file));
  return last;
}

Status Settings::CheckLayers(int64_t n_layer) const {
  const NamedLayer last = LastNamedLayer();
  if (last.layer < n_layer) return {};
  return InvalidArgument(last.setting + " is about layer " + std::to_string(last.layer) + ", and the model has " +
                         std::to_string(n_layer) + " layers, 0 to " + std::to_string(n_layer - 1) +
                         ": name none but those, or leave it out");
}

topk::TopKOptions Settings::ForLayer(int layer, int64_t n_key, int64_t measured_crossover) const {
  topk::TopKOptions of_layer = options;
  bool of_layer_auto = auto_crossover;
  ApplyOverrides(overrides, layer, of_layer, of_layer_auto);
  if (of_layer_auto) {
    of_layer.crossover = CrossoverForBudget(measured_crossover, of_layer.BudgetFor(measured_crossover));
  }
  if (layer >= 0 && layer < dense_layers) {
    of_layer.k = std::clamp<int64_t>(n_key, 1, kMaxBudget);
    of_layer.min_mass = 0.0F;
    of_layer.fallback = true;
    of_layer.sparse = false;
    of_layer.crossover = of_layer.k;
  }
  return of_layer;
}

Status ParseSetting(std::string_view item, Settings& settings) {
  const size_t equals = item.find('=');
  if (equals == std::string_view::npos) {
    return InvalidArgument(item.empty() ? "an item between two commas is empty" : "it is not of the form name=value");
  }
  const std::string_view key = Trim(item.substr(0, equals));
  const std::string_view value = Trim(item.substr(equals + 1));
  const size_t at = key.find('@');
  const std::string_view name = Trim(key.substr(0, at));

  if (const OwnField* own = FindOwnField(name); own != nullptr) {
    if (at != std::string_view::npos) {
      return InvalidArgument(std::string(name) + " is about all layers together: it takes no @");
    }
    const std::optional<int64_t> number = ParseInteger(value, own->min, own->max);
    if (!number) return RefuseOwn(*own, value);
    settings.*own->member = *number;
    return {};
  }
  if (name == kProfile) {
    if (at == std::string_view::npos) return ApplyProfile(value, settings);
    return InvalidArgument("a profile is of all layers together: it takes no @");
  }
  if (name == kRecord && at == std::string_view::npos) {
    return InvalidArgument("which layer is missing: record@N=FILE");
  }
  if (at == std::string_view::npos) {
    bool auto_crossover = settings.auto_crossover;
    Status status = SetOption(name, value, settings.options, auto_crossover);
    if (status.ok()) {
      settings.auto_crossover = auto_crossover;
      std::erase_if(settings.overrides, [name](const LayerOverride& o) { return o.of_profile && o.name == name; });
    }
    return status;
  }

  LayerOverride layers{.name = std::string(name), .value = std::string(value)};
  if (Status status = ParseLayers(Trim(key.substr(at + 1)), layers); !status.ok()) return status;
  if (name == kRecord) return AddRecording(layers, settings);
  topk::TopKOptions scratch;
  bool scratch_auto = false;
  if (Status status = SetOption(name, value, scratch, scratch_auto); !status.ok()) return status;
  settings.overrides.push_back(std::move(layers));
  return {};
}

Status ParseSettings(std::string_view text, Settings& settings) {
  Settings parsed = settings;
  const auto refuse = [](std::string_view part, const Status& status) {
    std::string message = "bad top-k attention setting ";
    message.append(Quoted(part)).append(": ").append(status.message()).append("\n").append(SettingsHelp());
    return InvalidArgument(std::move(message));
  };
  // Profiles first: what stands beside them wins.
  for (const bool profiles : {true, false}) {
    const auto [item, status] = ForEachItem(text, [&](std::string_view one) {
      return (NameOf(one) == kProfile) == profiles ? ParseSetting(one, parsed) : Status();
    });
    if (!status.ok()) return refuse(item, status);
  }
  // Each value is fine by itself; together they may still not be.
  if (Status status = parsed.Validate(); !status.ok()) return refuse(Trim(text), status);
  settings = std::move(parsed);
  return {};
}

std::string FormatSettings(const Settings& settings) {
  std::string text = topk::FormatOptions(settings.options);
  if (settings.auto_crossover) {
    const std::string number = "crossover=" + std::to_string(settings.options.crossover);
    text.replace(text.find(number), number.size(), "crossover=auto");
  }
  for (const OwnField& own : kOwnFields) {
    text.append(",").append(own.field.name).append("=").append(std::to_string(settings.*own.member));
  }
  for (const LayerOverride& item : settings.overrides) text.append(",").append(FormatOverride(item));
  for (const auto& [layer, file] : settings.recordings) text.append(",").append(FormatRecording(layer, file));
  return text;
}

std::span<const topk::OptionField> SettingFields() {
  static const std::vector<topk::OptionField> kFields = [] {
    const std::span<const topk::OptionField> options = topk::OptionFields();
    std::vector<topk::OptionField> fields(options.begin(), options.end());
    for (topk::OptionField& field : fields) {
      if (field.name != kCrossover) continue;
      field.type = "auto|N";
      field.range = kCrossoverRange;
    }
    for (const OwnField& own : kOwnFields) fields.push_back(own.field);
    return fields;
  }();
  return kFields;
}

std::string SettingsHelp() {
  std::string help = "Allowed settings, as in \"k=256,sinks=4,dense_layers=2,k@4=1024,window@6-9=128\":";
  for (const topk::OptionField& field : SettingFields()) {
    help.append("\n  ").append(field.name).append(": ");
    // The ranges of the other types say it all: "on or off".
    if (field.type == "integer" || field.type == "number") help.append(field.type).append(", ");
    help.append(field.range).append(" (default ").append(DefaultValue(field.name)).append("): ").append(field.sentence);
    if (!field.off_sentence.empty()) help.append("; off: ").append(field.off_sentence);
  }
  help +=
      "\n  profile=FILE: the settings of a file that qwen-infer tune made for the model; what is set beside it wins"
      "\n  record@N=FILE: save q, K, V and mask of layer N in a GGUF file, for qwen-infer bench-attention --inputs FILE"
      "\nAll but dense_layers and those about recording also take a layer or a range of layers: k@4=1024, k@0-1=1024.";
  return help;
}

}  // namespace qwen_infer
