#include "help.h"

#include "columns.h"
#include "flags.h"
#include "recommended.h"

namespace qwen_infer {

namespace {

constexpr size_t kSentenceColumn = 46;

std::string FlagLine(const Flag& flag) {
  std::string line = "  --" + flag.name;
  if (!flag.value_name.empty()) line += " " + flag.value_name;
  line = Pad(line, kSentenceColumn) + flag.sentence;
  std::string facts = flag.range;
  if (!flag.default_value.empty()) facts += (facts.empty() ? "default " : ", default ") + flag.default_value;
  if (!facts.empty()) line += "\n" + std::string(kSentenceColumn, ' ') + "(" + facts + ")";
  return line;
}

}  // namespace

std::string TopKHelp() {
  std::string text = "top-k attention (names with underscores or dashes):\n";
  for (const Flag& flag : TopKFlags()) text += FlagLine(flag) + "\n";
  text +=
      "\n"
      "  no_fallback is a check of your configuration: a pass in which k covers every key, so that nothing can be\n"
      "  saved, fails. The warm-up pass of two tokens is skipped then, because it could not but fail.\n"
      "  record@N=FILE in --top_k_attention_layers saves q, K, V and mask of layer N for qwen-infer bench-attention.\n"
      "\n"
      "recommended settings:\n" +
      RecommendedTable() +
      "\n  The statistics of a run tell the mass that its selections held: below 0.9 on average, try a larger k.";
  return text;
}

}  // namespace qwen_infer
