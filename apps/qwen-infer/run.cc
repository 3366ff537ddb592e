#include "run.h"

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "atomic_file.h"
#include "engine/backends.h"
#include "engine/model_check.h"
#include "engine/model_file.h"
#include "flags.h"
#include "help.h"
#include "interrupts.h"
#include "log.h"
#include "perf_hooks.h"
#include "plugin.h"
#include "report.h"
#include "tool_input.h"

namespace qwen_infer {

namespace {

// The report that is still to be written when the process ends; tools call exit() in the middle of a run. Never freed:
// it is used until the very end. Null if the user wants none.
ReportFile* g_report = nullptr;

// One run a process.
RunDescription g_run;

// Whether the tool has returned, with success.
bool g_succeeded = false;

// False, after a message, if the report could not be written.
bool WriteReport() {
  if (g_report == nullptr) return true;
  const topk::Status status = g_report->Write();
  if (!status.ok()) PrintError(status.message());
  return status.ok();
}

// Tools that fail early return or exit while llama.cpp's log thread still has their last messages, the error among
// them.
void FlushLog() { common_log_flush(common_log_main()); }

void AtExit() {
  FlushLog();
  WriteReport();
  if (!g_succeeded) SayWhyItFailed();
}

void PrintHelp(const Tool& tool) {
  std::cout << "qwen-infer " << tool.name << ": " << tool.summary << ". Example:\n  qwen-infer " << tool.name << " "
            << tool.example << "\n\n"
            << TopKHelp() << "\n\nllama.cpp's own flags:\n\n"
            << std::flush;
}

std::string ModelPath(const std::vector<std::string>& llama) {
  constexpr std::string_view kModelFlags[] = {"-m", "--model"};
  const std::string path = LlamaFlagValue(llama, kModelFlags);
  const char* environment = std::getenv("LLAMA_ARG_MODEL");
  return path.empty() && environment != nullptr ? environment : path;
}

// For models that llama.cpp finds itself, as on the hub.
void RefuseUnlessFits(const char* model_path) {
  const topk::Status status = CheckFitsModel(CurrentSettings(), model_path);
  if (status.ok()) return;
  FlushLog();
  PrintError(status.message());
  EndNow(kExitUsage);
}

// Puts top-k attention in the place of llama.cpp's.
topk::Status SetUpTopK(const Tool& tool, CommandLine& line) {
  constexpr const char* kFlashAttentionVariable = "LLAMA_ARG_FLASH_ATTN";
  topk::Status status = ForceFlashAttention(tool.flash_attention, std::getenv(kFlashAttentionVariable), line.llama);
  if (status.ok()) status = CheckFitsModel(line.settings, ModelPath(line.llama));
  if (!status.ok()) return status;
  unsetenv(kFlashAttentionVariable);  // on or auto: llama.cpp would warn that our -fa overrides it
  // The warm-up decodes two tokens, fewer than any budget worth checking.
  if (!line.settings.options.fallback) line.llama.insert(line.llama.begin(), "--no-warmup");
  NoteUnusedVariable();
  ForgetPluginFile();
  OnFirstModel(RefuseUnlessFits);
  return RegisterTopK(line.settings);
}

// Some models are computed without flash attention, whatever one asks for.
void WarnIfUnused(const Tool& tool, int code) {
  // Where llama.cpp takes no timings, a tool that succeeds has computed.
  const bool computed = RunTimings().AnyTokens() || (tool.timings == LlamaTimings::kNone && code == kExitSuccess);
  if (computed && Total(GetStatistics()).sums.rows == 0) WarnOfFullAttention();
}

int CallEntry(const Tool& tool, std::vector<std::string>& llama) {
  std::string name = "qwen-infer " + std::string(tool.name);
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : llama) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return tool.entry(static_cast<int>(argv.size()) - 1, argv.data());
}

// Of standard output: as `| head` is, and it knows that it read no further.
bool IsReaderGone() {
  pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

}  // namespace

const RunDescription& CurrentRun() { return g_run; }

void PrintError(std::string_view message) { std::cerr << "error: " << message << "\n"; }

int RefuseUsage(std::string_view subcommand, const topk::Status& status) {
  PrintError(status.message());
  std::cerr << "See qwen-infer " << subcommand << " --help\n";
  return kExitUsage;
}

void NoteUnusedVariable() {
  if (std::getenv("TOPK_ATTENTION") == nullptr) return;
  std::cerr << "note: TOPK_ATTENTION is for unmodified llama.cpp programs; here the --top_k_attention flags decide\n";
}

void WarnOfFullAttention() {
  std::cerr << "warning: top-k attention was not used, although tokens were computed: llama.cpp gave no attention of "
               "this model to it. All results are those of full attention.\n";
}

void SayWhyItFailed() {
  if (const std::string reason = LastError(); !reason.empty()) return PrintError("top-k attention: " + reason);
  if (const std::string path = ModelThatFailed(); !path.empty()) {
    PrintError("cannot load the model " + path + ": " + WhyNoModel(path));
  }
}

int WithOutput(int code) {
  std::cout.flush();
  const bool is_written = std::cout.good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (is_written || code != kExitSuccess) return code;
  if (!IsReaderGone()) PrintError("the output could not be written: is the disk full?");
  return kExitFailure;
}

void EndWithWrittenOutput(bool is_success) {
  static bool ignores_code = false;
  ignores_code = is_success;
  on_exit(
      [](int code, void* /*unused*/) {
        code = WithOutput(ignores_code ? kExitSuccess : code);
        std::fflush(nullptr);
        std::_Exit(code);
      },
      nullptr);
}

void EndNow(int code) {
  FlushLog();
  if (!WriteReport() && code == kExitSuccess) code = kExitFailure;
  code = WithOutput(code);
  std::fflush(nullptr);
  std::_Exit(code);
}

int RunTool(const Tool& tool, std::span<const std::string_view> arguments) {
  CommandLine line;
  topk::Status status = ParseCommandLine(arguments, line);
  // --help wins over a mistake: it is what one asks for after making one.
  if (HasLlamaFlag(line.llama, kHelpFlags)) {
    EndWithWrittenOutput(/*is_success=*/false);
    PrintHelp(tool);
    return CallEntry(tool, line.llama);
  }
  if (status.ok()) status = CheckToolInput(line.llama);
  if (status.ok() && !line.statistics_path.empty()) status = CheckWritable(line.statistics_path);
  if (status.ok() && line.use_top_k_attention) status = SetUpTopK(tool, line);
  if (!status.ok()) return RefuseUsage(tool.name, status);

  g_run = {.subcommand = std::string(tool.name),
           .model = ModelPath(line.llama),
           .use_top_k_attention = line.use_top_k_attention,
           .report_timings = tool.timings == LlamaTimings::kGood};
  std::atexit(AtExit);
  if (line.use_top_k_attention) OnTimingsReset(ResetStatistics);  // the warm-up is no part of the run
  if (tool.timings == LlamaTimings::kNone) StartRunWithAnyContext();
  if (!line.statistics_path.empty()) g_report = new ReportFile(line.statistics_path, g_run);
  std::optional<InterruptCourier> courier;
  if (g_report != nullptr && !tool.handles_interrupts) courier.emplace([] { WriteReport(); });

  int code = CallEntry(tool, line.llama);
  FlushLog();
  if (line.use_top_k_attention) WarnIfUnused(tool, code);
  if (!WriteReport() && code == kExitSuccess) code = kExitFailure;
  courier.reset();  // uses the report
  g_report = nullptr;
  g_succeeded = code == kExitSuccess;
  return code;
}

}  // namespace qwen_infer
