#include "end_to_end/options.h"

#include <algorithm>
#include <filesystem>

#include "common.h"
#include "flag_table.h"
#include "shared/read_type.h"

namespace qwen_infer::end_to_end_bench {

namespace {

constexpr int64_t kMaxTokens = 1 << 24;
constexpr int kMaxThreads = 1024;
constexpr int kMaxRepetitions = 1000;

// As llama-bench has it: what llama.cpp can keep K and V in.
constexpr ggml_type kTypes[] = {GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16, GGML_TYPE_Q8_0,  GGML_TYPE_Q4_0,
                                GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1, GGML_TYPE_IQ4_NL};
constexpr std::string_view kTypesAllowed = "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 or iq4_nl";

bool ReadTokens(std::string_view text, int64_t& out) { return ReadNumber<int64_t>(text, 1, kMaxTokens, out); }

bool ReadDepth(std::string_view text, int64_t& out) { return ReadNumber<int64_t>(text, 0, kMaxTokens, out); }

bool ReadKvType(std::string_view text, ggml_type& out) { return ReadType(text, kTypes, out); }

constexpr FlagRow<Options> kFlags[] = {
    {"model", "PATH", "a file name", "", "GGUF file", [](auto v, Options& o) { return ReadPath(v, o.model); }, "-m"},
    {"n_depth", "LIST", "a list of integers from 0 to 16777216", "0,4096,8192,16384,32768",
     "tokens of context before the measured ones", [](auto v, Options& o) { return ReadList(v, ReadDepth, o.depths); },
     "-d"},
    {"n_prompt", "N", "an integer from 1 to 16777216", "512", "tokens of a prompt that is read",
     [](auto v, Options& o) { return ReadTokens(v, o.n_prompt); }, "-p"},
    {"n_gen", "N", "an integer from 1 to 16777216", "32", "tokens that are generated",
     [](auto v, Options& o) { return ReadTokens(v, o.n_gen); }, "-n"},
    {"repetitions", "R", "an integer from 1 to 1000", "3", "rounds of all ways in turns, after one that does not count",
     [](auto v, Options& o) { return ReadNumber(v, 1, kMaxRepetitions, o.repetitions); }, "-r"},
    {"threads", "N", "an integer from 1 to 1024, or cores", "cores", "threads of every way",
     [](auto v, Options& o) {
       o.threads = std::max(1, static_cast<int>(common_cpu_get_num_math()));
       return v == "cores" || ReadNumber(v, 1, kMaxThreads, o.threads);
     },
     "-t"},
    {"cache_type_k", "TYPE", kTypesAllowed, "f16", "type of K",
     [](auto v, Options& o) { return ReadKvType(v, o.type_k); }, "-ctk"},
    {"cache_type_v", "TYPE", kTypesAllowed, "f16", "type of V; full attention without flash needs f32, f16 or bf16",
     [](auto v, Options& o) { return ReadKvType(v, o.type_v); }, "-ctv"},
    {"file", "PATH", "a file name", "", "text to read, from its start again if it is short; else random tokens",
     [](auto v, Options& o) { return ReadPath(v, o.text_file); }, "-f"},
    {"json", "FILE", "a file name", "", "also write the figures of all rounds, with machine, versions and flags",
     [](auto v, Options& o) { return ReadPath(v, o.json); }},
    {"markdown", "FILE", "a file name", "", "also write the table into a file",
     [](auto v, Options& o) { return ReadPath(v, o.markdown); }},
};

constexpr FlagTable<Options> kTable{kFlags};

}  // namespace

int64_t Options::ContextSize() const { return depths.back() + std::max(n_prompt, n_gen); }

topk::Status ParseOptions(std::span<const std::string_view> arguments, Options& options) {
  topk::Status status = kTable.Parse(arguments, options);
  if (!status.ok()) return status;
  if (options.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  std::sort(options.depths.begin(), options.depths.end());
  options.depths.erase(std::unique(options.depths.begin(), options.depths.end()), options.depths.end());
  // Whose folders they are in is nobody's business; reports are published.
  for (const char* name : {"model", "file"}) {
    if (const auto found = options.text.find(name); found != options.text.end()) {
      found->second = std::filesystem::path(found->second).filename().string();
    }
  }
  return {};
}

std::string FlagHelp() { return kTable.Help(); }

std::string CommandOf(const Options& options) { return kTable.Command("qwen-infer bench --compare", options); }

}  // namespace qwen_infer::end_to_end_bench
