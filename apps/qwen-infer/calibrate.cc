// qwen-infer calibrate: measures, once per machine, from how many keys on top-k attention pays.
#include "attention/calibrate.h"

#include <atomic>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

#include "atomic_file.h"
#include "attention/measure.h"
#include "interrupts.h"
#include "run.h"
#include "shared/interrupted.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

void PrintHelp() {
  std::cout
      << "qwen-infer calibrate: measure from how many keys on top-k attention is faster than full attention here.\n"
         "\n"
         "Rows that see fewer keys run dense. Takes seconds, on all cores: run it while nothing else does. The\n"
         "result is kept in\n"
         "  "
      << CrossoverPath()
      << "\n(QWEN_INFER_CACHE or XDG_CACHE_HOME move it) and used from then on by qwen-infer and by the plugin,\n"
         "wherever the crossover is auto; a file of another machine or version is ignored. It takes no flags.\n";
}

// Before seconds are spent on what could not be kept.
topk::Status MakeFolder(const std::string& path) {
  if (path.empty()) {
    return topk::InvalidArgument("there is no folder to keep the result in: set QWEN_INFER_CACHE or HOME");
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return topk::InvalidArgument("cannot make the folder of " + path + ": " + error.message());
  return CheckWritable(path);
}

}  // namespace

int RunCalibrate(Arguments arguments) {
  if (!arguments.empty()) {
    if (arguments[0] == "--help" || arguments[0] == "-h") {
      PrintHelp();
      return kExitSuccess;
    }
    PrintError("calibrate takes no arguments, but there is '" + std::string(arguments[0]) + "'");
    std::cerr << "See qwen-infer calibrate --help\n";
    return kExitUsage;
  }
  const std::string path = CrossoverPath();
  std::atomic<bool> stop = false;
  const InterruptListener listener([&stop] { stop = true; });
  topk::Status status = MakeFolder(path);
  if (!status.ok()) {
    PrintError(status.message());
    return kExitUsage;
  }
  try {
    CrossoverTable table{ThisMachine(), {}};
    std::cerr << "measuring on " << table.machine.processor << " with " << table.machine.threads << " threads\n";
    table.entries = attention_bench::MeasureCrossovers(table.machine.threads, stop,
                                                       [](std::string_view what) { std::cerr << what << "\n"; });
    status = WriteFileAtomically(path, FormatCrossovers(table));
    if (!status.ok()) {
      PrintError(status.message());
      return kExitFailure;
    }
    std::cout << path << "\n";
    return kExitSuccess;
  } catch (const Interrupted&) {
    std::cerr << "interrupted: nothing was changed\n";
    return kExitInterrupted;
  } catch (const std::exception& error) {
    PrintError(error.what());
    return kExitFailure;
  }
}

}  // namespace qwen_infer
