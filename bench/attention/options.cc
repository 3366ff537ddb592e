#include "attention/options.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>

#include "attention/cache_size.h"
#include "nearest.h"
#include "topk/attention.h"

namespace qwen_infer::attention_bench {

namespace {

constexpr int64_t kMaxKeys = 1 << 24;
constexpr int64_t kMaxHeads = 1024;
constexpr int kMaxThreads = 1024;
constexpr double kMaxSeconds = 3600;
constexpr int kMaxRepeat = 1000;
// Caches do not forget the oldest first: read in a circle, K of 2, 4, 8 and 32 cache sizes came at 46, 39, 36 and 35
// GB/s.
constexpr int64_t kColdCaches = 8;
constexpr int64_t kMaxColdBytes = int64_t{1} << 40;
constexpr ggml_type kTypes[] = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0};

// All of `text` as a number in [low, high].
template <typename T>
bool ReadNumber(std::string_view text, T low, T high, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= low && out <= high;
}

// "a,b,c"; at least one element.
template <typename T, typename ReadOne>
bool ReadList(std::string_view text, ReadOne read_one, std::vector<T>& out) {
  out.clear();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (!read_one(text.substr(begin, end - begin), out.emplace_back())) return false;
    begin = end + 1;
  }
  return true;
}

bool ReadCount(std::string_view text, int64_t& out) { return ReadNumber<int64_t>(text, 1, kMaxKeys, out); }

bool ReadShape(std::string_view text, HeadShape& shape) {
  const size_t first = text.find(':');
  const size_t second = text.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return false;
  return ReadNumber<int64_t>(text.substr(0, first), 1, kMaxHeads, shape.n_head) &&
         ReadNumber<int64_t>(text.substr(first + 1, second - first - 1), 1, kMaxHeads, shape.n_head_kv) &&
         ReadNumber<int64_t>(text.substr(second + 1), 1, topk::kMaxHeadSize, shape.d) &&
         shape.n_head % shape.n_head_kv == 0;
}

bool ReadType(std::string_view text, ggml_type& out) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [text](ggml_type type) { return ggml_type_name(type) == text; });
  if (found == std::end(kTypes)) return false;
  out = *found;
  return true;
}

bool ReadPath(std::string_view text, std::string& out) {
  out = text;
  return !out.empty();
}

struct Flag {
  std::string_view name;
  std::string_view value_name;
  std::string_view allowed;        // completes "is not ..."
  std::string_view default_value;  // read like a value of the user's; empty: none
  std::string_view sentence;
  bool (*read)(std::string_view value, Options& options);
};

constexpr Flag kFlags[] = {
    {"shapes", "LIST", "a list of Q:KV:D with Q (up to 1024) a multiple of KV and D from 1 to 576",
     "14:2:64,16:8:128,32:8:128", "query heads : KV heads : head size",
     [](std::string_view v, Options& o) { return ReadList(v, ReadShape, o.shapes); }},
    {"keys", "LIST", "a list of integers from 1 to 16777216", "1024,4096,8192,32768", "tokens of context, n",
     [](std::string_view v, Options& o) { return ReadList(v, ReadCount, o.keys); }},
    {"queries", "LIST", "a list of integers from 1 to 16777216", "1,512",
     "1 is decode, with caches cold; more are prefill: the last ones of the context",
     [](std::string_view v, Options& o) { return ReadList(v, ReadCount, o.queries); }},
    {"types", "LIST", "a list of f32, f16, bf16 and q8_0", "f16", "types of K and V",
     [](std::string_view v, Options& o) { return ReadList(v, ReadType, o.types); }},
    {"inputs", "FILES", "a list of file names", "",
     "recorded q, K and V (bench/record_inputs.py), which say shapes, keys and types",
     [](std::string_view v, Options& o) { return ReadList(v, ReadPath, o.inputs); }},
    {"k", "N", "an integer from 1 to 16777216", "256", "keys kept per query and head",
     [](std::string_view v, Options& o) { return ReadCount(v, o.k); }},
    {"threads", "N", "an integer from 1 to 1024, or cores", "cores", "threads of every method",
     [](std::string_view v, Options& o) {
       o.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
       return v == "cores" || ReadNumber(v, 1, kMaxThreads, o.threads);
     }},
    {"seconds", "S", "a number from 0 to 3600", "0.5", "least time of a measurement; one call at least",
     [](std::string_view v, Options& o) { return ReadNumber(v, 0.0, kMaxSeconds, o.seconds); }},
    {"repeat", "R", "an integer from 1 to 1000", "3", "measurements of each method, in turns; medians are shown",
     [](std::string_view v, Options& o) { return ReadNumber(v, 1, kMaxRepeat, o.repeat); }},
    {"cold_bytes", "BYTES", "an integer from 0 to 1099511627776, or auto", "auto",
     "decode takes turns on copies of K that fill this; auto: eight times the last-level cache",
     [](std::string_view v, Options& o) {
       o.cold_bytes = kColdCaches * LastLevelCacheBytes();
       return v == "auto" || ReadNumber<int64_t>(v, 0, kMaxColdBytes, o.cold_bytes);
     }},
    {"json", "FILE", "a file name", "", "also write all figures of all rounds, with machine, versions and flags",
     [](std::string_view v, Options& o) { return ReadPath(v, o.json); }},
    {"csv", "FILE", "a file name", "", "also write the table as CSV",
     [](std::string_view v, Options& o) { return ReadPath(v, o.csv); }},
    {"markdown", "FILE", "a file name", "", "also write the table into a file",
     [](std::string_view v, Options& o) { return ReadPath(v, o.markdown); }},
};

bool IsFile(const Flag& flag) { return flag.value_name == "FILE"; }

const Flag* FindFlag(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFlags), std::end(kFlags), [name](const Flag& flag) { return flag.name == name; });
  return found == std::end(kFlags) ? nullptr : found;
}

topk::Status Apply(const Flag& flag, std::string_view value, Options& options) {
  if (!flag.read(value, options)) {
    return topk::InvalidArgument("--" + std::string(flag.name) + ": '" + std::string(value) + "' is not " +
                                 std::string(flag.allowed));
  }
  if (!IsFile(flag)) options.text[std::string(flag.name)] = value;
  return {};
}

topk::Status UnknownFlag(std::string_view argument, std::string_view name) {
  std::vector<std::string_view> known;
  for (const Flag& flag : kFlags) known.push_back(flag.name);
  const std::string_view nearest = NearestName(name, known);
  return topk::InvalidArgument("there is no flag " + std::string(argument) +
                               (nearest.empty() ? "" : "; did you mean --" + std::string(nearest) + "?"));
}

// Values that are fine one by one may still exclude each other.
topk::Status CheckTogether(const Options& options) {
  const int64_t most_queries = *std::max_element(options.queries.begin(), options.queries.end());
  const int64_t fewest_keys = *std::min_element(options.keys.begin(), options.keys.end());
  if (most_queries > fewest_keys) {
    return topk::InvalidArgument("--queries " + std::to_string(most_queries) + " is more than --keys " +
                                 std::to_string(fewest_keys) + ": the queries are the last ones of the keys");
  }
  for (const ggml_type type : options.types) {
    for (const HeadShape& shape : options.shapes) {
      if (shape.d % ggml_blck_size(type) == 0) continue;
      return topk::InvalidArgument("--types " + std::string(ggml_type_name(type)) + " needs head sizes that are " +
                                   "multiples of " + std::to_string(ggml_blck_size(type)) + "; --shapes has " +
                                   std::to_string(shape.d));
    }
  }
  return {};
}

// Recordings say what the tensors are like.
constexpr std::string_view kSaidByInputs[] = {"shapes", "keys", "types"};

topk::Status LeaveTensorsToInputs(std::span<const std::string_view> given, Options& options) {
  for (const std::string_view name : kSaidByInputs) {
    if (std::find(given.begin(), given.end(), name) != given.end()) {
      return topk::InvalidArgument("--" + std::string(name) +
                                   " is said by the files of --inputs: leave one of the two out");
    }
    options.text.erase(std::string(name));
  }
  options.shapes.clear();
  options.keys.clear();
  options.types.clear();
  return {};
}

}  // namespace

topk::Status ParseOptions(std::span<const std::string_view> arguments, Options& options) {
  for (const Flag& flag : kFlags) {
    if (flag.default_value.empty()) continue;
    if (topk::Status status = Apply(flag, flag.default_value, options); !status.ok()) return status;
  }
  std::vector<std::string_view> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const size_t equals = argument.find('=');
    std::string name(argument.substr(0, equals));
    const bool is_flag = name.starts_with("--");
    if (is_flag) name.erase(0, 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const Flag* flag = is_flag ? FindFlag(name) : nullptr;
    if (flag == nullptr) return UnknownFlag(argument.substr(0, equals), name);
    const bool value_follows = equals == std::string_view::npos;
    if (value_follows && (i + 1 == arguments.size() || arguments[i + 1].starts_with("--"))) {
      return topk::InvalidArgument(std::string(argument) + " needs a value: " + std::string(flag->allowed));
    }
    const std::string_view value = value_follows ? arguments[++i] : argument.substr(equals + 1);
    if (topk::Status status = Apply(*flag, value, options); !status.ok()) return status;
    given.push_back(flag->name);
  }
  if (!options.inputs.empty()) return LeaveTensorsToInputs(given, options);
  return CheckTogether(options);
}

std::string FlagHelp() {
  constexpr size_t kSentenceColumn = 22;
  std::string text;
  for (const Flag& flag : kFlags) {
    std::string line = "  --" + std::string(flag.name) + " " + std::string(flag.value_name);
    line.resize(std::max(kSentenceColumn, line.size() + 1), ' ');
    text += line + std::string(flag.sentence) + "\n" + std::string(kSentenceColumn, ' ') + "(" +
            std::string(flag.allowed) +
            (flag.default_value.empty() ? "" : "; default " + std::string(flag.default_value)) + ")\n";
  }
  return text;
}

std::string CommandOf(const Options& options) {
  std::string command = "qwen-infer bench-attention";
  for (const Flag& flag : kFlags) {
    const auto found = options.text.find(std::string(flag.name));
    if (found == options.text.end() || found->second == flag.default_value) continue;
    command.append(" --").append(flag.name).append(" ").append(found->second);
  }
  return command;
}

std::vector<Case> CasesOf(const Options& options) {
  std::vector<Case> cases;
  for (const HeadShape& heads : options.shapes) {
    for (const ggml_type type : options.types) {
      for (const int64_t n_query : options.queries) {
        for (const int64_t n_key : options.keys) cases.push_back({heads, type, n_query, n_key});
      }
    }
  }
  return cases;
}

}  // namespace qwen_infer::attention_bench
