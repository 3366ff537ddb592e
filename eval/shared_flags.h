// Rows of flag_table.h for all that measure quality with a model: for options that are derived from eval::RunOptions,
// and kWindowFlag for those that are derived from eval::Options.
#ifndef QWEN_INFER_EVAL_SHARED_FLAGS_H_
#define QWEN_INFER_EVAL_SHARED_FLAGS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "common.h"
#include "flag_table.h"

namespace qwen_infer::eval {

inline constexpr int64_t kMaxWindows = 1 << 20;
inline constexpr int64_t kMaxWindow = 1 << 24;
inline constexpr int kMaxThreads = 512;

inline bool ReadCacheType(std::string_view text, std::string& out) {
  out = text;
  return text == "f32" || text == "f16" || text == "bf16" || text == "q8_0";
}

template <typename Options>
inline constexpr FlagRow<Options> kModelFlag = {"model",
                                                "PATH",
                                                "a file name",
                                                "",
                                                "GGUF file; also LLAMA_ARG_MODEL in the environment",
                                                [](std::string_view v, Options& o) { return ReadPath(v, o.model); },
                                                "-m"};

template <typename Options>
inline constexpr FlagRow<Options> kFileFlag = {
    "file",
    "PATH",
    "a file or folder",
    "",
    "text to read; may be repeated",
    [](std::string_view v, Options& o) { return ReadPath(v, o.paths.emplace_back()); },
    "-f"};

template <typename Options>
inline constexpr FlagRow<Options> kSuffixFlag = {
    "suffix",
    "LIST",
    "a list of endings like .py,.rst",
    "",
    "which files of folders; else all that are text",
    [](std::string_view v, Options& o) { return ReadList(v, ReadPath, o.suffixes); }};

// sentence: what is done with them, and which there are by default.
template <typename Options>
constexpr FlagRow<Options> SettingFlag(std::string_view sentence) {
  return {"setting", "SETTINGS", "settings like k=128,sinks=4", "", sentence, [](std::string_view v, Options& o) {
            o.settings.push_back({.name = std::string(v), .settings = {}});
            return !v.empty();
          }};
}

template <typename Options>
inline constexpr FlagRow<Options> kRestartFlag = {
    "restart", "", "", "", "begin anew, whatever run the folder has", [](std::string_view /*value*/, Options& o) {
      return o.restart = true;
    }};

template <typename Options>
inline constexpr FlagRow<Options> kWindowFlag = {
    "window",
    "N",
    "an integer from 2 to 16777216",
    "4096",
    "tokens of a window",
    [](std::string_view v, Options& o) { return ReadNumber<int64_t>(v, 2, kMaxWindow, o.window); },
    "-c"};

template <typename Options>
inline constexpr FlagRow<Options> kThreadsFlag = {"threads",
                                                  "N",
                                                  "an integer from 1 to 512, or cores",
                                                  "cores",
                                                  "threads",
                                                  [](std::string_view v, Options& o) {
                                                    o.threads = std::clamp(static_cast<int>(common_cpu_get_num_math()),
                                                                           1, kMaxThreads);
                                                    return v == "cores" || ReadNumber(v, 1, kMaxThreads, o.threads);
                                                  },
                                                  "-t"};

template <typename Options>
inline constexpr FlagRow<Options> kCacheTypeFlag = {
    "cache_type",
    "TYPE",
    "f32, f16, bf16 or q8_0",
    "f16",
    "type of K and V",
    [](std::string_view v, Options& o) { return ReadCacheType(v, o.cache_type); },
    "-ct"};

template <typename Options>
inline constexpr FlagRow<Options> kSeedFlag = {"seed",
                                               "N",
                                               "an integer from 0 to 18446744073709551615",
                                               "1",
                                               "of the bootstrap",
                                               [](std::string_view v, Options& o) {
                                                 return ReadNumber<uint64_t>(v, 0, std::numeric_limits<uint64_t>::max(),
                                                                             o.seed);
                                               }};

template <typename Options>
inline constexpr FlagRow<Options> kVerboseFlag = {"verbose",
                                                  "",
                                                  "",
                                                  "",
                                                  "print llama.cpp's log",
                                                  [](std::string_view /*value*/, Options& o) { return o.verbose = true; },
                                                  "-v"};

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_SHARED_FLAGS_H_
