#include "chat_summary.h"

#include <iomanip>
#include <sstream>

namespace qwen_infer {

namespace {

std::string Fixed(double number, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << number;
  return text.str();
}

// "20 tokens at 34.8/s"; without the speed where no time was taken.
std::string AtSpeed(int64_t tokens, std::string_view what, double seconds) {
  std::string text = WithCommas(tokens) + std::string(what);
  if (tokens > 0 && seconds > 0) text += " at " + Fixed(static_cast<double>(tokens) / seconds, 1) + "/s";
  return text;
}

}  // namespace

std::string WithCommas(int64_t number) {
  constexpr size_t kGroup = 3;
  std::string text = std::to_string(number);
  const size_t first_digit = number < 0 ? 1 : 0;
  for (size_t at = text.size(); at > first_digit + kGroup;) text.insert(at -= kGroup, ",");
  return text;
}

std::string BudgetIn(std::string_view settings) { return std::string(settings.substr(0, settings.find(','))); }

std::string AttentionSummary(const LayerStatistics& total) {
  const topk::Statistics& sums = total.sums;
  if (sums.keys_seen == 0) return "top-k attention: nothing was computed yet";
  const double share = 100 * static_cast<double>(sums.keys_kept) / static_cast<double>(sums.keys_seen);
  return "top-k attention: " + WithCommas(sums.keys_kept) + " of " + WithCommas(sums.keys_seen) + " keys kept (" +
         Fixed(share, 1) + " %), mean mass " + (sums.mass_rows > 0 ? Fixed(sums.MeanMass(), 4) : "not measured") +
         ", " + WithCommas(sums.OperationsSaved()) + " scores saved; " + WithCommas(total.fallback_calls) + " of " +
         WithCommas(total.calls) + " calls ran full";
}

std::string SpeedSummary(const GenerationStatistics& statistics) {
  if (statistics.prompt_tokens == 0) return "last answer: none yet";
  const int64_t n_read = statistics.prompt_tokens - statistics.cached_tokens;
  return "last answer: " + AtSpeed(statistics.generated_tokens, " tokens", statistics.generation_seconds) + ", after " +
         AtSpeed(n_read, " read", statistics.prompt_seconds) + "; " + WithCommas(statistics.cached_tokens) +
         " more were in the cache";
}

}  // namespace qwen_infer
