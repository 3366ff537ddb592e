#include "options.h"

#include <array>

#include "eval/shared_flags.h"
#include "flag_table.h"
#include "flags.h"
#include "settings.h"

namespace qwen_infer::inspect {

namespace {

constexpr std::array<std::string_view, 1> kDefaultSettings = {"k=256"};
constexpr size_t kMostSettings = 2;
constexpr int kMostStrongest = 256;
constexpr int64_t kMostMegabytes = 2000;

// "7" or "4-9".
bool ReadRange(std::string_view text, LayerRange& out) {
  const size_t dash = text.find('-');
  if (!ReadNumber(text.substr(0, dash), 0, kMaxLayer, out.first)) return false;
  out.last = out.first;
  return dash == std::string_view::npos || ReadNumber(text.substr(dash + 1), out.first, kMaxLayer, out.last);
}

constexpr FlagRow<Options> kFlags[] = {
    eval::kModelFlag<Options>,
    {"prompt_file", "PATH", "a file name", "", "text to read, of at most 65536 tokens",
     [](auto v, Options& o) { return ReadPath(v, o.prompt_file); }, "-f"},
    {"html", "FILE", "a file name", "", "the page to write", [](auto v, Options& o) { return ReadPath(v, o.html); },
     "-o"},
    {"json", "FILE", "a file name", "", "the figures of each head, without those of single tokens, for programs",
     [](auto v, Options& o) { return ReadPath(v, o.json); }},
    eval::SettingFlag<Options>(
        "what layers keep; twice to compare two; else k=256. k=1000000 keeps all: full attention"),
    {"layers", "LIST", "a list of layers like 0,4-9", "", "which to show; else all, or as many as fit, evenly spread",
     [](auto v, Options& o) { return ReadList(v, ReadRange, o.layers); }},
    {"strongest", "N", "an integer from 1 to 256, or auto", "auto",
     "weights of each token and head that the page has; auto: up to 16, at least 4",
     [](auto v, Options& o) {
       o.strongest = 0;
       return v == "auto" || ReadNumber(v, 1, kMostStrongest, o.strongest);
     }},
    {"max_size", "MB", "an integer from 1 to 2000", "128", "size of the page, at most",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, kMostMegabytes, o.max_megabytes); }},
    eval::kThreadsFlag<Options>,
    eval::kCacheTypeFlag<Options>,
    eval::kVerboseFlag<Options>,
};

constexpr FlagTable<Options> kTable{kFlags};

topk::Status CheckTogether(const Options& options) {
  if (options.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  if (options.prompt_file.empty()) {
    return topk::InvalidArgument("--prompt_file is missing: name a file with text to read");
  }
  if (options.html.empty() && options.json.empty()) {
    return topk::InvalidArgument("--html is missing: name the page to write (--json: figures for programs)");
  }
  if (options.html == options.json) {
    return topk::InvalidArgument("--html and --json both name " + options.html + ": name two files");
  }
  if (options.settings.size() > kMostSettings) {
    return topk::InvalidArgument("there are " + std::to_string(options.settings.size()) +
                                 " --setting: a page compares two at most");
  }
  return {};
}

}  // namespace

topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options) {
  topk::Status status = eval::RefuseTopKFlags(arguments, "inspect");
  if (status.ok()) status = kTable.Parse(arguments, options);
  if (!status.ok()) return status;
  if (options.model.empty() && environment != nullptr) options.model = environment;
  if (status = CheckTogether(options); !status.ok()) return status;
  return eval::ReadSettings(kDefaultSettings, "inspect", options.settings);
}

std::string FlagHelp() { return kTable.Help(); }

}  // namespace qwen_infer::inspect
