#include "settings.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace qwen_infer {
namespace {

using topk::InvalidArgument;
using topk::Status;

constexpr std::string_view kDenseLayers = "dense_layers";
// topk's own upper limit of k.
constexpr int64_t kMaxBudget = int64_t{1} << 30;

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

std::string DenseLayersRange() {
  std::string range = "0 to ";
  return range.append(std::to_string(kMaxLayer + 1));
}

Status RefuseDenseLayers(std::string_view value) {
  std::string message = "dense_layers is ";
  return InvalidArgument(message.append(value).append(", allowed is ").append(DenseLayersRange()));
}

std::optional<int> ParseLayer(std::string_view text, int max) {
  int layer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  if (error != std::errc() || end != text.data() + text.size() || layer < 0 || layer > max) return std::nullopt;
  return layer;
}

// Reads "N" or "A-B" into the override.
Status ParseLayers(std::string_view text, LayerOverride& item) {
  const size_t dash = text.find('-');
  const std::optional<int> first = ParseLayer(text.substr(0, dash), kMaxLayer);
  const std::optional<int> last = dash == std::string_view::npos ? first : ParseLayer(text.substr(dash + 1), kMaxLayer);
  if (!first || !last || *first > *last) {
    return InvalidArgument(
        Quoted(text) + " is not a layer N or a range of layers A-B with 0 <= A <= B <= " + std::to_string(kMaxLayer));
  }
  item.first = *first;
  item.last = *last;
  return {};
}

void ApplyOverrides(const std::vector<LayerOverride>& overrides, int layer, topk::TopKOptions& options) {
  for (const LayerOverride& item : overrides) {
    if (layer < item.first || layer > item.last) continue;
    // Parsed before, so it can't fail; if it did, the layer would keep the plain value.
    static_cast<void>(topk::SetOption(options, item.name, item.value).ok());
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
  if (dense_layers < 0 || dense_layers > kMaxLayer + 1) return RefuseDenseLayers(std::to_string(dense_layers));
  if (Status status = options.Validate(); !status.ok()) return status;
  // Options change only where an override begins or ends.
  for (const LayerOverride& item : overrides) {
    for (const int layer : {item.first, item.last, item.last + 1}) {
      topk::TopKOptions of_layer = options;
      ApplyOverrides(overrides, layer, of_layer);
      if (Status status = of_layer.Validate(); !status.ok()) {
        std::string message = "layer ";
        return InvalidArgument(message.append(std::to_string(layer)).append(": ").append(status.message()));
      }
    }
  }
  return {};
}

topk::TopKOptions Settings::ForLayer(int layer, int64_t n_key) const {
  topk::TopKOptions of_layer = options;
  ApplyOverrides(overrides, layer, of_layer);
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

  if (name == kDenseLayers) {
    if (at != std::string_view::npos) return InvalidArgument("dense_layers itself says which layers: it takes no @");
    const std::optional<int> count = ParseLayer(value, kMaxLayer + 1);
    if (!count) return RefuseDenseLayers(value);
    settings.dense_layers = *count;
    return {};
  }
  if (at == std::string_view::npos) return topk::SetOption(settings.options, name, value);

  LayerOverride layers{0, 0, std::string(name), std::string(value)};
  if (Status status = ParseLayers(Trim(key.substr(at + 1)), layers); !status.ok()) return status;
  topk::TopKOptions scratch;
  if (Status status = topk::SetOption(scratch, name, value); !status.ok()) return status;
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
  for (std::string_view rest = text; !Trim(text).empty();) {
    const size_t comma = rest.find(',');
    const std::string_view item = Trim(rest.substr(0, comma));
    if (Status status = ParseSetting(item, parsed); !status.ok()) return refuse(item, status);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  // Each value is fine by itself; together they may still not be.
  if (Status status = parsed.Validate(); !status.ok()) return refuse(Trim(text), status);
  settings = std::move(parsed);
  return {};
}

std::string FormatSettings(const Settings& settings) {
  std::string text = topk::FormatOptions(settings.options);
  text.append(",").append(kDenseLayers).append("=").append(std::to_string(settings.dense_layers));
  for (const LayerOverride& item : settings.overrides) {
    text.append(",").append(item.name).append("@").append(std::to_string(item.first));
    if (item.last != item.first) text.append("-").append(std::to_string(item.last));
    text.append("=").append(item.value);
  }
  return text;
}

std::string SettingsHelp() {
  std::string help = "Allowed settings, as in \"k=256,sinks=4,dense_layers=2,k@4=1024,window@6-9=128\":";
  const auto add = [&help](std::string_view name, std::string_view type, std::string_view range,
                           std::string_view sentence) {
    help.append("\n  ").append(name).append(": ");
    // The ranges of the other types say it all: "on or off".
    if (type == "integer" || type == "number") help.append(type).append(", ");
    help.append(range).append(" (default ").append(DefaultValue(name)).append("): ").append(sentence);
  };
  for (const topk::OptionField& field : topk::OptionFields()) {
    add(field.name, field.type, field.range, field.sentence);
    if (!field.off_sentence.empty()) help.append("; off: ").append(field.off_sentence);
  }
  add(kDenseLayers, "integer", DenseLayersRange(), "layers below this one keep all keys");
  help += "\nEach of them but dense_layers also takes a layer or a range of layers: k@4=1024, k@0-1=1024.";
  return help;
}

}  // namespace qwen_infer
