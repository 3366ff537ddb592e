// The plugin's settings: one topk::TopKOptions for all layers, and what differs from it in single layers.
//
// Their text form, as in TOPK_ATTENTION="k=256,sinks=4,dense_layers=2,k@4=1024,window@6-9=128", is a list of name=value
// separated by commas; blanks around an item are ignored. A name is one of SettingFields(). For those that are
// topk::OptionFields(), "name@N" and "name@A-B" set it for layer N and for the layers A to B; they win over a plain
// name wherever they stand. The crossover is a number or "auto": what was measured on this machine (crossover.h), else
// kDefaultCrossover. "profile=FILE" stands for the settings of a profile (profile.h): they come first, wherever it
// stands, and what is set beside it or later wins, a plain name over what the profile says of single layers too.
// "record@N=FILE" has the inputs of layer N saved (recorder.h). Of two items that set the same thing
// the later wins.
#ifndef QWEN_INFER_SRC_GGML_SETTINGS_H_
#define QWEN_INFER_SRC_GGML_SETTINGS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen_infer/statistics.h"
#include "topk/options.h"
#include "topk/status.h"

namespace qwen_infer {

// Layers are numbered from 0; far above what any model has, so that a slip like k@10000000=1 is caught.
inline constexpr int kMaxLayer = 9999;

// Number of visible keys below which a row runs dense, because full attention is faster there, on machines where that
// was not measured. The one place where this measurement lives: AMD Zen 4, 2 threads, Qwen2.5-0.5B shapes (14/2 heads
// of 64, f16 cache).
inline constexpr int64_t kDefaultCrossover = 1024;

// What a plugin without settings does on a machine that was not measured: k = 256, mass sampled, dense below
// kDefaultCrossover.
topk::TopKOptions DefaultOptions();

// What a setting is without being set, in its text form; empty if there is no setting of that name.
std::string DefaultValue(std::string_view name);

struct ProfiledModel;

// "name=value" for the layers first to last.
struct LayerOverride {
  int first = 0;
  int last = 0;
  std::string name;
  std::string value;
  bool of_profile = false;  // then it gives way to a plain name
};

// A layer that a setting names, and the setting in its text form.
struct NamedLayer {
  int layer = -1;
  std::string setting;
};

struct Settings {
  topk::TopKOptions options = DefaultOptions();
  // Then options.crossover does not count.
  bool auto_crossover = true;
  // Layers below this one keep all keys.
  int64_t dense_layers = 0;
  // Files for the inputs of layers, by layer: of the first pass of record_queries queries over record_keys keys or
  // more.
  std::map<int, std::string> recordings;
  int64_t record_queries = 512;  // as many as llama.cpp computes at once by default
  int64_t record_keys = 1;
  // Applied in order. ParseSettings has checked that each of them parses.
  std::vector<LayerOverride> overrides;
  // Whom the profile is for; null without one. Other models are to be refused.
  std::shared_ptr<const ProfiledModel> made_for;

  // kInvalidArgument, naming the layer if it is an override's fault, unless the options of every layer are valid.
  topk::Status Validate() const;

  // The highest layer that is named, alone or as the end of a range; -1 if there is none.
  NamedLayer LastNamedLayer() const;

  // kInvalidArgument, naming the setting, if one is of a layer that a model of so many layers does not have.
  topk::Status CheckLayers(int64_t n_layer) const;

  // The options of one layer; those of a dense layer keep all of `n_key` keys. `measured_crossover` is what "auto"
  // means for kCalibratedBudget (crossover.h).
  topk::TopKOptions ForLayer(int layer, int64_t n_key, int64_t measured_crossover = kDefaultCrossover) const;
};

// Reads the text form on top of `settings`; items that are not named keep their value. kInvalidArgument for anything
// unknown, unparsable or out of range: the message names the bad part and ends with SettingsHelp(). `settings` is
// unchanged on error.
topk::Status ParseSettings(std::string_view text, Settings& settings);

// Reads one item of the text form on top of `settings`. The message gives the reason alone, and what the settings are
// together is not checked.
topk::Status ParseSetting(std::string_view item, Settings& settings);

// The text form of all settings; ParseSettings reads it back. What is of a profile is written out, without its file.
std::string FormatSettings(const Settings& settings);

// The settings that take a plain name: topk's, then the plugin's own. Static storage; safe from any thread.
std::span<const topk::OptionField> SettingFields();

// The allowed names with type, range, default and a sentence each; several lines, without a final newline.
std::string SettingsHelp();

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_SETTINGS_H_
