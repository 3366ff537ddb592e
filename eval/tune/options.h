// The flags of qwen-infer tune.
#ifndef QWEN_INFER_EVAL_TUNE_OPTIONS_H_
#define QWEN_INFER_EVAL_TUNE_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "eval/options.h"
#include "topk/status.h"

namespace qwen_infer::tune {

enum class Aim {
  kBudget,              // so many keys a layer on average
  kMass,                // at least that mean mass in every layer
  kPerplexityIncrease,  // at most that increase, as a share
};

// `windows` of eval's are those of held-out text; the paths have both.
struct Options : eval::Options {
  int n_aim = 0;  // how many were given
  Aim aim = Aim::kBudget;
  double value = 0;  // of the aim
  int64_t calibration_windows = 0;
  int64_t probe = 0;         // tokens at the end of a calibration window that are scored
  bool layers_only = false;  // no mass targets
  std::string profile;       // file to write
};

// As eval::ParseOptions.
topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options);

std::string FlagHelp();

// "--budget 128".
std::string AimText(const Options& options);

// As eval::CommandOf.
std::string CommandOf(const Options& options);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_OPTIONS_H_
