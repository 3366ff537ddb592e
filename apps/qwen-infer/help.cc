#include "help.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "flags.h"

namespace qwen_infer {

namespace {

constexpr size_t kSentenceColumn = 46;

// What we recommend, and what we know about it. Perplexities: Qwen2.5-Coder-0.5B-Instruct, Python source text, against
// full attention; one window of 4096 tokens (3.4230 dense), four of 8192, one of 16384. The shorter ones:
//   python3 scripts/long_text.py 17000 > text
//   qwen-infer perplexity -m MODEL -f text -c 512 --chunks 16     5.3587, top-k and sparse 5.3494
//                                          -c 1024 --chunks 16    4.7291, top-k and sparse 4.7270
//                                          -c 2048 --chunks 8     4.3875, top-k 4.3805
struct Recommendation {
  std::string_view use_case;
  std::string_view tokens;
  std::string_view k;
  std::string_view evidence;
};

constexpr std::array<Recommendation, 8> kRecommendations = {{
    {"Chat, questions", "512", "256", "measured with sparse: -0.2 %; without, it is full attention"},
    {"Documents", "1024", "256", "measured with sparse: 0.0 %; without, it is full attention"},
    {"", "2048", "256", "measured: -0.2 %"},
    {"Long context", "4096", "256", "measured: perplexity +0.1 %, nothing that can be told from noise"},
    {"", "8192", "256", "measured: -0.2 % +- 0.2"},
    {"", "16384", "256", "measured: -0.5 %; 512: -0.8 %; 128: +0.5 %"},
    {"Least state kept", "4096", "128", "measured: +0.6 %; 64: +2.2 %"},
    {"", "4096", "32", "measured: +5.2 %; with 4 sinks and a window of 32: +4.2 %"},
}};

std::string Pad(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

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
      "recommended settings:\n";
  text +=
      "  " + Pad("use case", 18) + Pad("tokens", 12) + Pad("k", 5) + "change of perplexity against full attention\n";
  for (const Recommendation& row : kRecommendations) {
    text += "  " + Pad(std::string(row.use_case), 18) + Pad(std::string(row.tokens), 12) + Pad(std::string(row.k), 5) +
            std::string(row.evidence) + "\n";
  }
  text +=
      "  Measured with Qwen2.5-Coder-0.5B-Instruct on Python source text. The statistics of a run tell the mass that\n"
      "  its selections held: below 0.9 on average, try a larger k.";
  return text;
}

}  // namespace qwen_infer
