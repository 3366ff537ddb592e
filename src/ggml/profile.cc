#include "profile.h"

#include <array>
#include <charconv>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "settings.h"
#include "topk/attention.h"

namespace qwen_infer {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "qwen-infer profile 1";
constexpr std::string_view kFormatName = "qwen-infer profile ";
// A hundred times what a profile of the largest models takes.
constexpr size_t kMaxBytes = 1 << 22;
constexpr int64_t kMaxHeads = 1 << 16;
constexpr size_t kFingerprintDigits = 16;
constexpr int kHexadecimal = 16;
constexpr std::string_view kMakeOne = ": make one with qwen-infer tune, or leave the profile out";

std::string FingerprintText(uint64_t fingerprint) {
  std::array<char, kFingerprintDigits> digits = {};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), fingerprint, kHexadecimal);
  const std::string text(digits.data(), end);
  return std::string(kFingerprintDigits - text.size(), '0') + text;
}

std::string ShapeText(const AttentionShape& shape) {
  return std::to_string(shape.n_head) + " heads, " + std::to_string(shape.n_head_kv) + " KV heads and a head size of " +
         std::to_string(shape.head_size);
}

const Json& At(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) throw std::runtime_error("\"" + std::string(name) + "\" is missing");
  return *found;
}

int64_t IntegerAt(const Json& json, const char* name, int64_t most) {
  const Json& value = At(json, name);
  if (!value.is_number_integer() || value < 1 || value > most) {
    throw std::runtime_error("\"" + std::string(name) + "\" is " + value.dump() + ", allowed is 1 to " +
                             std::to_string(most));
  }
  return value.get<int64_t>();
}

std::string TextAt(const Json& json, const char* name) {
  const Json& value = At(json, name);
  if (!value.is_string()) throw std::runtime_error("\"" + std::string(name) + "\" is no text");
  return value.get<std::string>();
}

uint64_t FingerprintAt(const Json& json, const char* name) {
  const std::string text = TextAt(json, name);
  uint64_t fingerprint = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fingerprint, kHexadecimal);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != kFingerprintDigits) {
    throw std::runtime_error("\"" + std::string(name) + "\" is not 16 hexadecimal digits");
  }
  return fingerprint;
}

std::vector<AttentionShape> LayersAt(const Json& json, const char* name) {
  std::vector<AttentionShape> layers;
  for (const Json& run : At(json, name)) {
    const AttentionShape shape = {IntegerAt(run, "heads", kMaxHeads), IntegerAt(run, "kv_heads", kMaxHeads),
                                  IntegerAt(run, "head_size", topk::kMaxHeadSize)};
    layers.insert(layers.end(), static_cast<size_t>(IntegerAt(run, "layers", kMaxLayer + 1)), shape);
    if (layers.size() > kMaxLayer + 1) break;
  }
  if (layers.empty() || layers.size() > kMaxLayer + 1) {
    throw std::runtime_error("\"" + std::string(name) + "\" is not that of 1 to " + std::to_string(kMaxLayer + 1) +
                             " layers");
  }
  return layers;
}

Json LayersJson(const std::vector<AttentionShape>& layers) {
  Json runs = Json::array();
  for (size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    while (end < layers.size() && layers[end] == layers[begin]) ++end;
    runs.push_back({{"layers", end - begin},
                    {"heads", layers[begin].n_head},
                    {"kv_heads", layers[begin].n_head_kv},
                    {"head_size", layers[begin].head_size}});
  }
  return runs;
}

topk::Status WrongFormat(const std::string& format) {
  if (!format.starts_with(kFormatName)) return topk::InvalidArgument("it is no profile");
  return topk::InvalidArgument("its format is \"" + format + "\", and this program reads \"" + std::string(kFormat) +
                               "\": make it anew with qwen-infer tune");
}

// `what` is of the profile, `found` of the model at hand.
topk::Status Refuse(const ProfiledModel& wanted, const std::string& what, const std::string& found) {
  return topk::InvalidArgument("the profile " + wanted.profile + " was made for the model " + wanted.name + what +
                               ", and this is " + found + std::string(kMakeOne));
}

}  // namespace

std::string FormatProfile(const Profile& profile, const Json& notes) {
  Json json = {{"format", kFormat},
               {"model",
                {{"name", profile.model.name},
                 {"fingerprint", FingerprintText(profile.model.fingerprint)},
                 {"attention", LayersJson(profile.model.layers)}}},
               {"settings", profile.settings}};
  json.update(notes);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

topk::Status ParseProfile(std::string_view text, Profile& out) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return topk::InvalidArgument("it is not valid JSON: is it complete?");
  if (!json.is_object() || !json.contains("format")) return topk::InvalidArgument("it is no profile");
  try {
    if (const std::string format = TextAt(json, "format"); format != kFormat) return WrongFormat(format);
    const Json& model = At(json, "model");
    out = {.model = {.name = TextAt(model, "name"),
                     .fingerprint = FingerprintAt(model, "fingerprint"),
                     .layers = LayersAt(model, "attention"),
                     .profile = {}},
           .settings = TextAt(json, "settings")};
    return {};
  } catch (const std::exception& error) {
    return topk::InvalidArgument(error.what());
  }
}

topk::Status ReadProfile(const std::string& path, Profile& out) {
  const auto refuse = [&path](const std::string& reason) {
    return topk::InvalidArgument("cannot use the profile " + path + ": " + reason);
  };
  std::ifstream file(path, std::ios::binary);
  if (!file) return refuse("there is no such file, or it cannot be read");
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || text.empty()) return refuse("it is empty, or no file that can be read");
  if (text.size() > kMaxBytes) return refuse("it has more than " + std::to_string(kMaxBytes) + " bytes");
  if (const topk::Status status = ParseProfile(text, out); !status.ok()) return refuse(status.message());
  out.model.profile = path;
  return {};
}

topk::Status CheckModel(const ProfiledModel& wanted, std::string_view name, uint64_t fingerprint) {
  if (wanted.fingerprint == fingerprint) return {};
  return Refuse(wanted, " (fingerprint " + FingerprintText(wanted.fingerprint) + ")",
                std::string(name) + " (" + FingerprintText(fingerprint) + ")");
}

topk::Status CheckLayer(const ProfiledModel& wanted, int layer, const AttentionShape& found) {
  if (layer < 0) return {};  // attention that belongs to no known layer, which a profile says nothing of
  const auto index = static_cast<size_t>(layer);
  if (index >= wanted.layers.size()) {
    return Refuse(wanted, " with " + std::to_string(wanted.layers.size()) + " layers",
                  "a model with a layer " + std::to_string(layer));
  }
  if (wanted.layers[index] == found) return {};
  return Refuse(wanted, " with " + ShapeText(wanted.layers[index]), "a model with " + ShapeText(found));
}

}  // namespace qwen_infer
