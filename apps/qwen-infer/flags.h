// The command line of every subcommand: our flags are taken out, everything else is llama.cpp's.
//
//   --use_top_k_attention                    without it, the run is plain llama.cpp
//   --top_k_attention_<name> VALUE           one for each of SettingFields(); on/off fields are
//   --top_k_attention_[no_]<name>            switches
//   --top_k_attention_layers NAME@A-B=VALUE  settings of single layers, comma-separated, as the plugin's string has
//   them
//   --top_k_attention_profile FILE           settings that qwen-infer tune made for the model; other flags win over it
//   --top_k_attention_stats FILE.json        statistics and timings of the run
//
// Names are spelled with underscores or dashes; VALUE may follow after "=". A later flag overrides an earlier one. The
// table of flags, which --help prints, is derived from the options' table, so a new option is a flag without a change
// here.
#ifndef QWEN_INFER_APPS_FLAGS_H_
#define QWEN_INFER_APPS_FLAGS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "settings.h"
#include "topk/status.h"

namespace qwen_infer {

// One line of --help and what the parser needs to know.
struct Flag {
  enum class Kind { kUse, kSetting, kSwitchOn, kSwitchOff, kLayers, kProfile, kStatistics };

  Kind kind = Kind::kSetting;
  std::string name;           // "top_k_attention_k", without dashes
  std::string setting;        // "k": the field it sets; empty if it sets none
  std::string value_name;     // "N"; empty for a switch
  std::string range;          // "1 to 1073741824"; empty if there is none to tell
  std::string default_value;  // empty if there is none to tell
  std::string sentence;
};

// All our flags in the order of --help. Static storage; safe from any thread.
std::span<const Flag> TopKFlags();

// Whether an argument is spelled like one of our flags, known or not.
bool IsTopKFlag(std::string_view argument);

struct CommandLine {
  bool use_top_k_attention = false;
  Settings settings;               // for the plugin
  std::string settings_text;       // those that were given, in the text form: what `settings` comes of
  std::string statistics_path;     // empty: none wanted
  std::vector<std::string> llama;  // the arguments left for llama.cpp, in order
};

// Splits `arguments` (without the program's name). Refuses unknown flags that begin like ours, missing, unparsable and
// out-of-range values (naming value and range), and settings without --use_top_k_attention; `out` is then undefined.
// Only a whole argument is ever taken for a flag, but its place is not judged: "-p --use_top_k_attention" is our flag.
topk::Status ParseCommandLine(std::span<const std::string_view> arguments, CommandLine& out);

// Makes llama.cpp's arguments ask for flash attention, the only form of attention that the plugin can take over. `on`
// is the value to pass ("on", for llama-bench "1"), in front of all others; `environment` is the value of
// LLAMA_ARG_FLASH_ATTN or null. Refuses if the user asked for attention without it, in any of llama.cpp's spellings.
topk::Status ForceFlashAttention(std::string_view on, const char* environment, std::vector<std::string>& llama);

// The value of a flag of llama.cpp's, the last one if it is repeated; empty if it is absent. `names`: its spellings.
std::string LlamaFlagValue(std::span<const std::string> llama, std::span<const std::string_view> names);

// llama.cpp's spellings of "show me all flags".
inline constexpr std::string_view kHelpFlags[] = {"-h", "--help", "--usage"};

// Whether one of the spellings is among the arguments.
bool HasLlamaFlag(std::span<const std::string> llama, std::span<const std::string_view> names);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_FLAGS_H_
