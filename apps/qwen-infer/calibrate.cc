// qwen-infer calibrate: measures, once per machine, from how many keys on top-k attention pays.
#include "attention/calibrate.h"

#include <atomic>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "atomic_file.h"
#include "flags.h"
#include "interrupts.h"
#include "run.h"
#include "shared/interrupted.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

using attention_bench::Calibration;

void PrintHelp() {
  std::cout
      << "qwen-infer calibrate: measure from how many keys on top-k attention is faster than full attention here.\n"
         "\n"
         "Rows that see fewer keys run dense. llama.cpp's attention, the faster of its ways with and without flash\n"
         "attention, is timed beside both; where it is the fastest, a warning says so. Takes up to half a minute, on\n"
         "all cores: run it while nothing else does. What differs from round to round by more than a fifth is\n"
         "measured again, and named if it stays so; if that is more than half of all, nothing is kept and the exit\n"
         "code is 1. Else the result is kept in\n"
         "  "
      << CrossoverPath()
      << "\n(QWEN_INFER_CACHE or XDG_CACHE_HOME move it) and used from then on by qwen-infer and by the plugin,\n"
         "wherever the crossover is auto; a file of another machine or version is ignored. It takes no flags.\n";
}

std::string NoiseOf(const Calibration& found) {
  return std::to_string(found.n_noisy) + " of " + std::to_string(found.n_trials) +
         " measurements differed from round to round by more than a fifth, though they were repeated: the machine has "
         "other work to do";
}

// A crossover is found from many measurements, so some of them may be noise.
bool IsMostlyNoise(const Calibration& found) { return 2 * found.n_noisy > found.n_trials; }

void Warn(const Calibration& found) {
  for (const std::string& warning : found.warnings) std::cerr << "warning: " << warning << "\n";
  if (found.n_noisy == 0) return;
  std::cerr << "note: " << NoiseOf(found) << ". The result is kept; run this again while nothing else runs\n";
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
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  if (!arguments.empty()) {
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
    const Calibration found = attention_bench::Calibrate(table.machine.threads, stop, [](std::string_view what) {
      std::cerr << "\n" << what << "\n";
    });
    if (IsMostlyNoise(found)) {
      PrintError(NoiseOf(found) + ". Nothing was changed; run this again while nothing else runs");
      return kExitFailure;
    }
    table.entries = found.crossovers;
    Warn(found);
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
