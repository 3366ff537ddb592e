#include "chat_flags.h"

#include <limits>
#include <utility>

#include "arg.h"
#include "flag_table.h"

namespace qwen_infer {

namespace {

constexpr int64_t kMaxContext = int64_t{1} << 30;
constexpr int kMaxThreads = 512;
constexpr int64_t kNoLimit = std::numeric_limits<int32_t>::max();

bool ReadText(std::string_view text, std::string& out) {
  out = text;
  return true;
}

// In all of llama.cpp's spellings; auto leaves it unset.
bool ReadOnOffAuto(std::string_view text, std::optional<bool>& out) {
  const std::string value(text);
  out.reset();
  if (common_arg_utils::is_autoy(value)) return true;
  const bool on = common_arg_utils::is_truthy(value);
  if (on || common_arg_utils::is_falsey(value)) out = on;
  return out.has_value();
}

bool ReadCacheType(std::string_view text, std::string& out) {
  out = text;
  return text == "f32" || text == "f16" || text == "bf16" || text == "q8_0";
}

using Flags = ChatFlags;
using Text = std::string_view;

constexpr FlagRow<Flags> kFlags[] = {
    {"model", "PATH", "a file name", "", "GGUF file; also LLAMA_ARG_MODEL in the environment",
     [](Text v, Flags& f) { return ReadPath(v, f.model); }, "-m"},
    {"system_prompt", "TEXT", "a text", "", "what comes before all messages",
     [](Text v, Flags& f) { return ReadText(v, f.system_prompt); }, "-sys"},
    {"system_prompt_file", "PATH", "a file name", "", "the same from a file",
     [](Text v, Flags& f) { return ReadPath(v, f.system_prompt_file); }, "-sysf"},
    {"prompt", "TEXT", "a text", "", "the first message", [](Text v, Flags& f) { return ReadText(v, f.prompt); }, "-p"},
    {"file", "PATH", "a file name", "", "the same from a file; with both, the file comes first",
     [](Text v, Flags& f) { return ReadPath(v, f.file); }, "-f"},
    {"single_turn", "", "", "", "end after one answer", [](Text, Flags& f) { return f.single_turn = true; }, "-st"},
    {"ctx_size", "N", "an integer from 0 to 1073741824; 0: as many as the model was trained with", "",
     "tokens that messages and answers may have together; 8192, or less if the model was trained with less",
     [](Text v, Flags& f) { return ReadNumber<int64_t>(v, 0, kMaxContext, f.context_length); }, "-c"},
    {"predict", "N", "an integer from 1 to 2147483647, or -1: as many as there is room for", "-1",
     "most tokens of an answer",
     [](Text v, Flags& f) {
       f.generation.max_new_tokens = kNoLimit;
       return v == "-1" || ReadNumber<int64_t>(v, 1, kNoLimit, f.generation.max_new_tokens);
     },
     "-n", "n_predict",
     [](const Flags& f) {
       const int64_t n = f.generation.max_new_tokens;
       return ShowNumber(n == kNoLimit ? -1 : n);
     }},
    {"temp", "X", "a number from 0 to 100", "0.8", "0: always the likeliest token",
     [](Text v, Flags& f) { return ReadNumber(v, 0.0F, 100.0F, f.generation.sampling.temperature); }, "", "temperature",
     [](const Flags& f) { return ShowNumber(f.generation.sampling.temperature); }},
    {"top_k", "N", "an integer from 0 to 2147483647", "40", "likeliest tokens to choose from; 0: all",
     [](Text v, Flags& f) { return ReadNumber(v, 0, std::numeric_limits<int>::max(), f.generation.sampling.top_k); },
     "", "", [](const Flags& f) { return ShowNumber(f.generation.sampling.top_k); }},
    {"top_p", "X", "a number from 0 to 1", "0.95", "likeliest tokens that have this probability together; 1: all",
     [](Text v, Flags& f) { return ReadNumber(v, 0.0F, 1.0F, f.generation.sampling.top_p); }, "", "",
     [](const Flags& f) { return ShowNumber(f.generation.sampling.top_p); }},
    {"min_p", "X", "a number from 0 to 1", "0.05", "tokens at least this likely, as a share of the likeliest; 0: all",
     [](Text v, Flags& f) { return ReadNumber(v, 0.0F, 1.0F, f.generation.sampling.min_p); }, "", "",
     [](const Flags& f) { return ShowNumber(f.generation.sampling.min_p); }},
    {"repeat_penalty", "X", "a number from 0.01 to 100", "1", "over the last 64 tokens; 1: none",
     [](Text v, Flags& f) { return ReadNumber(v, 0.01F, 100.0F, f.generation.sampling.repetition_penalty); }, "", "",
     [](const Flags& f) { return ShowNumber(f.generation.sampling.repetition_penalty); }},
    {"seed", "N", "an integer from 0 to 4294967295, or -1: another one each time", "-1", "of the sampling",
     [](Text v, Flags& f) {
       f.generation.sampling.seed.reset();
       return v == "-1" ||
              ReadNumber<uint32_t>(v, 0, std::numeric_limits<uint32_t>::max(), f.generation.sampling.seed.emplace());
     },
     "-s", "",
     [](const Flags& f) {
       const std::optional<uint32_t>& seed = f.generation.sampling.seed;
       return seed ? ShowNumber(*seed) : "-1";
     }},
    {"reverse_prompt", "TEXT", "a text that is not empty", "", "end an answer before this text; may be repeated",
     [](Text v, Flags& f) { return !f.generation.stop.emplace_back(v).empty(); }, "-r"},
    {"reasoning", "WHEN", "on, off or auto", "auto", "for models that can think before they answer",
     [](Text v, Flags& f) { return ReadOnOffAuto(v, f.reasoning); }, "-rea"},
    {"threads", "N", "an integer from 1 to 512", "", "one for each core",
     [](Text v, Flags& f) { return ReadNumber(v, 1, kMaxThreads, f.threads); }, "-t"},
    {"flash_attn", "WHEN", "on, off or auto", "on", "flash attention, which top-k attention takes the place of",
     [](Text v, Flags& f) {
       std::optional<bool> on;
       const bool known = ReadOnOffAuto(v, on);
       f.flash_attention = on.value_or(true);
       return known;
     },
     "-fa"},
    {"cache_type_k", "TYPE", "f32, f16, bf16 or q8_0", "f16", "of K",
     [](Text v, Flags& f) { return ReadCacheType(v, f.cache_type_k); }, "-ctk"},
    {"cache_type_v", "TYPE", "f32, f16, bf16 or q8_0", "f16", "of V, the same as of K",
     [](Text v, Flags& f) { return ReadCacheType(v, f.cache_type_v); }, "-ctv"},
    {"simple_io", "", "", "", "no line editing in the terminal", [](Text, Flags& f) { return f.simple_io = true; }},
    {"verbose", "", "", "", "print llama.cpp's log", [](Text, Flags& f) { return f.verbose = true; }, "-v"},
};

constexpr FlagTable<Flags> kTable{kFlags};

}  // namespace

topk::Status ParseChatFlags(std::span<const std::string_view> arguments, const char* environment, ChatFlags& flags) {
  topk::Status status = kTable.Parse(arguments, flags);
  if (!status.ok()) return status;
  if (flags.model.empty() && environment != nullptr) flags.model = environment;
  if (flags.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  if (flags.cache_type_k != flags.cache_type_v) {
    return topk::InvalidArgument("K in " + flags.cache_type_k + " and V in " + flags.cache_type_v +
                                 ": chat keeps both in one type: give -ctk and -ctv the same");
  }
  if (!flags.system_prompt.empty() && !flags.system_prompt_file.empty()) {
    return topk::InvalidArgument("--system_prompt and --system_prompt_file say the same thing: leave one out");
  }
  return {};
}

topk::Status ChangeGeneration(std::string_view name_and_value, GenerateOptions& options) {
  ChatFlags flags;
  flags.generation = options;
  topk::Status status = kTable.Change(name_and_value, flags);
  if (status.ok()) options = std::move(flags.generation);
  return status;
}

std::string ShowGeneration(const GenerateOptions& options) {
  ChatFlags flags;
  flags.generation = options;
  return kTable.Show(flags);
}

std::string ChatFlagHelp() { return kTable.Help(); }

}  // namespace qwen_infer
