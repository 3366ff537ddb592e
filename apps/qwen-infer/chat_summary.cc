#include "chat_summary.h"

#include "shared/fixed.h"

namespace qwen_infer {

namespace {

// "20 tokens at 34.8/s"; without the speed where no time was taken.
std::string AtSpeed(int64_t tokens, std::string_view what, double seconds) {
  std::string text = WithCommas(tokens) + std::string(what);
  if (tokens > 0 && seconds > 0) text += " at " + Fixed(static_cast<double>(tokens) / seconds, 1) + "/s";
  return text;
}

}  // namespace

std::string BudgetIn(std::string_view settings) { return std::string(settings.substr(0, settings.find(','))); }

std::string AttentionSummary(const LayerStatistics& total) {
  const topk::Statistics& sums = total.sums;
  if (sums.keys_seen == 0) return "top-k attention: nothing was computed yet";
  return "top-k attention: " + WithCommas(sums.keys_kept) + " of " + WithCommas(sums.keys_seen) + " keys kept (" +
         Fixed(100 * sums.KeptShare(), 1) + " %), mean mass " +
         (sums.mass_rows > 0 ? Fixed(sums.MeanMass(), 4) : "not measured") + ", " + WithCommas(sums.OperationsSaved()) +
         " scores saved; " + WithCommas(total.fallback_calls) + " of " + WithCommas(total.calls) + " calls ran full";
}

std::string SpeedSummary(const GenerationStatistics& statistics) {
  if (statistics.prompt_tokens == 0) return "last answer: none yet";
  const int64_t n_read = statistics.prompt_tokens - statistics.cached_tokens;
  return "last answer: " + AtSpeed(statistics.generated_tokens, " tokens", statistics.generation_seconds) + ", after " +
         AtSpeed(n_read, " read", statistics.prompt_seconds) + "; " + WithCommas(statistics.cached_tokens) +
         " more were in the cache";
}

}  // namespace qwen_infer
