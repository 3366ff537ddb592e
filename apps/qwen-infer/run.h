// Runs one of llama.cpp's tools with our flags: what the subcommands have in common.
#ifndef QWEN_INFER_APPS_RUN_H_
#define QWEN_INFER_APPS_RUN_H_

#include <span>
#include <string>
#include <string_view>

#include "report.h"
#include "topk/status.h"

namespace qwen_infer {

// Exit codes. A tool's own is passed on: llama.cpp's end with 1 after any failure, mistakes in llama.cpp's flags among
// them, and llama-completion with 130 after Ctrl-C.
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;        // also: the run succeeded, but its report could not be written
inline constexpr int kExitUsage = 2;          // the subcommand or one of our flags is wrong: nothing was done
inline constexpr int kExitInterrupted = 130;  // as shells have it: 128 + SIGINT

// What llama.cpp's timings of a tool are worth.
enum class LlamaTimings {
  kGood,
  // llama.cpp books a batch when it makes room for the batch's outputs if they are more than before, and that is before
  // it computes it: in llama-perplexity thousands of tokens take no time.
  kWrong,
  kNone,  // llama-bench has it take none and measures by itself
};

// What sets one subcommand apart from another.
struct Tool {
  std::string_view name;     // "complete"
  std::string_view summary;  // one line of help
  std::string_view example;  // the arguments of an example command

  int (*entry)(int argc, char** argv) = nullptr;  // llama.cpp's, or one with its contract

  std::string_view flash_attention = "on";  // the value that -fa takes in this tool
  LlamaTimings timings = LlamaTimings::kGood;
  // The tool relies on SIGINT to interrupt a blocking read, and ends by itself; see interrupts.h.
  bool handles_interrupts = false;
};

// Parses our flags, prints help if asked, sets up the plugin, runs the tool and writes the report. Returns the exit
// code.
int RunTool(const Tool& tool, std::span<const std::string_view> arguments);

// Flushes standard output: `code`, or kExitFailure, which it explains, if a run that succeeded lost what it printed.
int WithOutput(int code);

// Has a process that prints what was asked for and then calls exit() end with kExitFailure if that was lost: for
// llama.cpp's help. is_success: it is a success whatever exit() is called with.
void EndWithWrittenOutput(bool is_success);

// Writes the report and ends the process without waiting for its other threads: with `code`, or with kExitFailure if
// only the report failed.
[[noreturn]] void EndNow(int code);

// The run that RunTool has begun, for its reports.
const RunDescription& CurrentRun();

// The last word of a run that failed, where it is known: the reason may have gone by far above, or into a log that the
// tool has silenced.
void SayWhyItFailed();

// "error: " and the message on stderr.
void PrintError(std::string_view message);

// The error of a command line and where to read on; returns kExitUsage.
int RefuseUsage(std::string_view subcommand, const topk::Status& status);

// Tells a user who has set TOPK_ATTENTION that it is not for this program.
void NoteUnusedVariable();

// For a run that computed tokens: warns that llama.cpp gave no attention to the plugin.
void WarnOfFullAttention();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_RUN_H_
