#include "eval/tune/options.h"

#include <filesystem>

#include "eval/shared_flags.h"
#include "eval/tune/probes.h"
#include "flags.h"

namespace qwen_infer::tune {

namespace {

constexpr int64_t kMaxProbe = 1 << 12;
constexpr double kPercent = 100;

// Of several aims none would be the aim.
bool SetAim(Aim aim, double value, Options& options) {
  ++options.n_aim;
  options.aim = aim;
  options.value = value;
  return true;
}

bool ReadBudget(std::string_view text, Options& options) {
  int64_t budget = 0;
  return ReadNumber(text, kLeastBudget, kMostBudget, budget) &&
         SetAim(Aim::kBudget, static_cast<double>(budget), options);
}

bool ReadMass(std::string_view text, Options& options) {
  double mass = 0;
  return ReadNumber(text, 0.0, 1.0, mass) && mass > 0 && SetAim(Aim::kMass, mass, options);
}

bool ReadIncrease(std::string_view text, Options& options) {
  double percent = 0;
  return text.ends_with("%") && ReadNumber(text.substr(0, text.size() - 1), 0.0, kPercent, percent) && percent > 0 &&
         SetAim(Aim::kPerplexityIncrease, percent / kPercent, options);
}

constexpr FlagRow<Options> kFlags[] = {
    eval::kModelFlag<Options>,
    eval::kFileFlag<Options>,
    eval::kSuffixFlag<Options>,
    {"budget", "N", "an integer from 16 to 1024", "", "aim: the best for so many keys a layer on average", ReadBudget},
    {"min_mass", "X", "a number above 0, up to 1", "", "aim: the fewest keys with that mean mass in every layer",
     ReadMass},
    {"max_ppl_increase", "X%", "a percentage above 0%, up to 100%", "",
     "aim: the fewest keys whose divergence from full attention is no more than makes so much perplexity",
     ReadIncrease},
    {"layers_only", "", "", "",
     "a budget for each layer, and no mass target, which is nearer to full attention but takes time",
     [](auto, Options& o) { return o.layers_only = true; }},
    {"output", "FILE", "a file name", "", "the profile", [](auto v, Options& o) { return ReadPath(v, o.profile); },
     "-o"},
    eval::kWindowFlag<Options>,
    {"calibration_windows", "N", "an integer from 1 to 1048576", "6", "windows that the layers are measured on",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, eval::kMaxWindows, o.calibration_windows); }},
    {"probe", "N", "an integer from 1 to 4096", "128", "tokens at the end of each of them that are scored",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, kMaxProbe, o.probe); }},
    {"windows", "N", "an integer from 1 to 1048576", "8",
     "other windows of the text, on which profile and fixed k are compared",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, eval::kMaxWindows, o.windows); }},
    eval::kThreadsFlag<Options>,
    eval::kCacheTypeFlag<Options>,
    eval::kSeedFlag<Options>,
    {"work", "FOLDER", "a name", "qwen-infer-tune", "what was measured: an interrupted run goes on from there",
     [](auto v, Options& o) { return ReadPath(v, o.output); }},
    eval::kVerboseFlag<Options>,
};

constexpr FlagTable<Options> kTable{kFlags};

topk::Status CheckTogether(const Options& options) {
  if (options.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  if (options.paths.empty()) return topk::InvalidArgument("--file is missing: name a file or folder with text to read");
  if (options.n_aim != 1) {
    return topk::InvalidArgument(std::string(options.n_aim == 0 ? "the aim is missing" : "there is more than one aim") +
                                 ": give one of --budget 128, --min_mass 0.9 and --max_ppl_increase 0.1%");
  }
  if (options.profile.empty()) return topk::InvalidArgument("--output is missing: name the file for the profile");
  if (options.window - options.probe < kLeastSeen) {
    return topk::InvalidArgument("--probe " + std::to_string(options.probe) + " must be less than --window " +
                                 std::to_string(options.window) + " by " + std::to_string(kLeastSeen) + " or more");
  }
  return {};
}

}  // namespace

topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options) {
  for (const std::string_view argument : arguments) {
    if (!IsTopKFlag(argument)) continue;
    return topk::InvalidArgument(std::string(argument) + ": tune finds the settings itself; leave it out");
  }
  topk::Status status = kTable.Parse(arguments, options);
  if (!status.ok()) return status;
  if (options.model.empty() && environment != nullptr) options.model = environment;
  return CheckTogether(options);
}

std::string FlagHelp() { return kTable.Help(); }

std::string AimText(const Options& options) {
  for (const char* name : {"budget", "min_mass", "max_ppl_increase"}) {
    const auto found = options.text.find(name);
    if (found != options.text.end()) return std::string("--") + name + " " + found->second;
  }
  return "";
}

std::string CommandOf(const Options& options) {
  Options shown = options;
  // Whose folder it is in is nobody's business; profiles are published.
  shown.text["model"] = std::filesystem::path(options.model).filename().string();
  for (const char* name : {"file", "output", "work", "verbose"}) shown.text.erase(name);
  std::string command = kTable.Command("qwen-infer tune", shown);
  for (const std::string& path : options.paths) command.append(" --file ").append(path);
  return command.append(" --output ").append(std::filesystem::path(options.profile).filename().string());
}

}  // namespace qwen_infer::tune
