// Runs one of llama.cpp's tools with our flags: what the subcommands have in common.
#ifndef QWEN_INFER_APPS_RUN_H_
#define QWEN_INFER_APPS_RUN_H_

#include <span>
#include <string>
#include <string_view>

#include "report.h"

namespace qwen_infer {

// Exit codes of our own; a tool's code is passed on.
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;          // the command line is wrong: nothing was done
inline constexpr int kExitInterrupted = 130;  // as shells have it: 128 + SIGINT

// What sets one subcommand apart from another.
struct Tool {
  std::string_view name;     // "complete"
  std::string_view summary;  // one line of help
  std::string_view example;  // the arguments of an example command

  int (*entry)(int argc, char** argv) = nullptr;  // llama.cpp's, or one with its contract

  std::string_view flash_attention = "on";  // the value that -fa takes in this tool
  bool measures_many_runs = false;          // llama-bench: the timings are in its own output
  // The tool relies on SIGINT to interrupt a blocking read, and ends by itself; see interrupts.h.
  bool handles_interrupts = false;
};

// Parses our flags, prints help if asked, sets up the plugin, runs the tool and writes the report. Returns the exit code.
int RunTool(const Tool& tool, std::span<const std::string_view> arguments);

// The run that RunTool has begun, for its reports.
const RunDescription& CurrentRun();

// "error: " and the message on stderr.
void PrintError(std::string_view message);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_RUN_H_
