#include "attention/options.h"

#include <algorithm>
#include <thread>

#include "attention/available_memory.h"
#include "attention/cache_size.h"
#include "flag_table.h"
#include "shared/read_type.h"
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
constexpr int64_t kColdMemoryParts = 5;  // of what is available: K, V and a transposed V then take three
constexpr int64_t kMaxColdBytes = int64_t{1} << 40;
constexpr ggml_type kTypes[] = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0};

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

bool ReadSimd(std::string_view text, std::string& out) {
  const std::vector<const char*> names = topk::SimdTargets();
  out = text;
  return text == "auto" || std::find(names.begin(), names.end(), text) != names.end();
}

bool ReadKvType(std::string_view text, ggml_type& out) { return ReadType(text, kTypes, out); }

constexpr FlagRow<Options> kFlags[] = {
    {"shapes", "LIST", "a list of Q:KV:D with Q (up to 1024) a multiple of KV and D from 1 to 1024",
     "14:2:64,16:8:128,32:8:128", "query heads : KV heads : head size",
     [](std::string_view v, Options& o) { return ReadList(v, ReadShape, o.shapes); }},
    {"keys", "LIST", "a list of integers from 1 to 16777216", "1024,4096,8192,32768", "tokens of context, n",
     [](std::string_view v, Options& o) { return ReadList(v, ReadCount, o.keys); }},
    {"queries", "LIST", "a list of integers from 1 to 16777216", "1,512",
     "up to 16 are decode, with caches cold; more are prefill: the last ones of the context",
     [](std::string_view v, Options& o) { return ReadList(v, ReadCount, o.queries); }},
    {"visible", "LIST", "all or a list of integers from 1 to 16777216", "all",
     "keys that the mask leaves each query, scattered over those up to its own, as models with trained sparse "
     "attention "
     "have them; the operation says so (n_kv_max)",
     [](std::string_view v, Options& o) {
       o.visible.clear();
       return v == "all" || ReadList(v, ReadCount, o.visible);
     }},
    {"types", "LIST", "a list of f32, f16, bf16 and q8_0", "f16", "types of K and V",
     [](std::string_view v, Options& o) { return ReadList(v, ReadKvType, o.types); }},
    {"inputs", "FILES", "a list of file names", "",
     "recorded q, K and V (bench/record_inputs.py), which say shapes, keys and types",
     [](std::string_view v, Options& o) { return ReadList(v, ReadPath, o.inputs); }},
    {"k", "N", "an integer from 1 to 16777216", "256", "keys kept per query and head",
     [](std::string_view v, Options& o) { return ReadCount(v, o.k); }},
    {"threads", "N", "an integer from 1 to 1024, or cores", "cores",
     "threads of every method; more than there are cores measure little",
     [](std::string_view v, Options& o) {
       o.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
       return v == "cores" || ReadNumber(v, 1, kMaxThreads, o.threads);
     }},
    {"seconds", "S", "a number from 0 to 3600", "0.5", "least time of a measurement; one call at least",
     [](std::string_view v, Options& o) { return ReadNumber(v, 0.0, kMaxSeconds, o.seconds); }},
    {"repeat", "R", "an integer from 1 to 1000", "3", "measurements of each method, in turns; medians are shown",
     [](std::string_view v, Options& o) { return ReadNumber(v, 1, kMaxRepeat, o.repeat); }},
    {"cold_bytes", "BYTES", "an integer from 0 to 1099511627776, or auto", "auto",
     "decode takes turns on copies of K that fill this, up to 65536; auto: eight times the last-level cache, but at "
     "most a fifth of "
     "the memory that is available. V, and a transposed one unless it is quantised, come on top",
     [](std::string_view v, Options& o) {
       o.cold_bytes = std::min(kColdCaches * LastLevelCacheBytes(), AvailableMemoryBytes() / kColdMemoryParts);
       return v == "auto" || ReadNumber<int64_t>(v, 0, kMaxColdBytes, o.cold_bytes);
     }},
    {"simd", "NAME", "auto or what this machine has of AMX, AVX3 (AVX-512), AVX2, SSE4 and NEON", "auto",
     "instructions of our kernels; llama.cpp keeps its own",
     [](std::string_view v, Options& o) { return ReadSimd(v, o.simd); }},
    {"json", "FILE", "a file name", "", "also write all figures of all rounds, with machine, versions and flags",
     [](std::string_view v, Options& o) { return ReadPath(v, o.json); }},
    {"csv", "FILE", "a file name", "", "also write the table as CSV",
     [](std::string_view v, Options& o) { return ReadPath(v, o.csv); }},
    {"markdown", "FILE", "a file name", "", "also write the table into a file",
     [](std::string_view v, Options& o) { return ReadPath(v, o.markdown); }},
};

constexpr FlagTable<Options> kTable{kFlags};

// Values that are fine one by one may still exclude each other.
topk::Status CheckTogether(const Options& options) {
  const int64_t fewest_queries = *std::min_element(options.queries.begin(), options.queries.end());
  const int64_t most_keys = *std::max_element(options.keys.begin(), options.keys.end());
  if (fewest_queries > most_keys) {
    return topk::InvalidArgument("--queries " + std::to_string(fewest_queries) + " is more than --keys " +
                                 std::to_string(most_keys) + ": the queries are the last ones of the keys");
  }
  for (const Case& c : CasesOf(options)) {
    const int64_t seen = c.n_key - c.n_query + 1;
    if (c.n_visible <= seen) continue;
    return topk::InvalidArgument("--visible " + std::to_string(c.n_visible) + " is more than the " +
                                 std::to_string(seen) + " keys up to the first of --queries " +
                                 std::to_string(c.n_query) + " with --keys " + std::to_string(c.n_key));
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
constexpr std::string_view kSaidByInputs[] = {"shapes", "keys", "types", "visible"};

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
  std::vector<std::string_view> given;
  if (topk::Status status = kTable.Parse(arguments, options, &given); !status.ok()) return status;
  return options.inputs.empty() ? CheckTogether(options) : LeaveTensorsToInputs(given, options);
}

std::string FlagHelp() { return kTable.Help(); }

std::string CommandOf(const Options& options) { return kTable.Command("qwen-infer bench-attention", options); }

std::vector<Case> CasesOf(const Options& options) {
  const std::vector<int64_t> visible = options.visible.empty() ? std::vector<int64_t>{0} : options.visible;
  std::vector<Case> cases;
  for (const HeadShape& heads : options.shapes) {
    for (const ggml_type type : options.types) {
      for (const int64_t n_query : options.queries) {
        for (const int64_t n_key : options.keys) {
          if (n_query > n_key) continue;
          for (const int64_t n_visible : visible) cases.push_back({heads, type, n_query, n_key, n_visible});
        }
      }
    }
  }
  return cases;
}

}  // namespace qwen_infer::attention_bench
