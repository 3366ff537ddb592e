// qwen-infer bench-attention: the attention operation alone, llama.cpp's and ours, on this machine.
#include <algorithm>
#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attention/inputs.h"
#include "attention/options.h"
#include "attention/report.h"
#include "attention/run.h"
#include "interrupts.h"
#include "provenance.h"
#include "run.h"
#include "shared/figure_files.h"
#include "shared/interrupted.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

using attention_bench::Case;
using attention_bench::Conditions;
using attention_bench::CpuBackend;
using attention_bench::Options;
using attention_bench::Row;

void PrintHelp() {
  std::cout
      << "qwen-infer bench-attention: time attention alone, llama.cpp's ways and ours, without a model. Example:\n"
         "  qwen-infer bench-attention --shapes 14:2:64 --keys 4096,32768 --queries 1 --json a.json\n"
         "\n"
         "Every combination of shapes, types, queries and keys is a line of a Markdown table on stdout, but those\n"
         "with more queries than keys. Its methods run in turns on the same tensors, with the same threads:\n"
         "\n"
      << "  llama.cpp, flash      FLASH_ATTN_EXT of ggml's CPU backend (-fa on)\n"
         "  llama.cpp, no flash   products and softmax (-fa off); V cannot be quantised then\n"
         "  top-k, f32 scan       our kernels, every score in f32\n"
         "  top-k, int8 scan      the same with products of integers ruling keys out: the same keys\n"
         "  top-k, int16 scan     the same with int16 products, for keys that int8 is too coarse for; prefill\n"
         "  ours, dense           our kernels with k = n\n"
         "  ours, as used         what they choose among these by themselves, with the crossover of this machine\n"
         "                        (qwen-infer calibrate) and the mass of few rows measured: what a model gets\n"
         "\n"
         "Before a time counts, the results of up to four queries are compared with a plain f64 reference, and the\n"
         "keys that top-k keeps with the exact set; a difference ends the run with exit code 1. (llama.cpp adds up in\n"
         "f16 where queries are few: where that strays far, with inputs of a model, a warning says so.) Ratios are of\n"
         "llama.cpp's faster way and ours, as used, one after the other; with several types, one more is to the type\n"
         "that is fastest for llama.cpp, of those up to the line's own. The roofline says what is left to gain:\n"
         "100 % is the speed at which K can be read at all (up to 16 queries), or that of the scan's innermost\n"
         "loop on numbers that are in the nearest cache (more).\n"
         "K, V and q are Gaussian, without the outliers of real layers, which let more keys through the int8 scan;\n"
         "with --inputs they are those of a model. bench/record_inputs.py makes such files.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << attention_bench::FlagHelp()
      << "\n"
         "  # what a model with 16 query heads and 8 KV heads of 128 numbers gains in decode, at a glance\n"
         "  qwen-infer bench-attention --shapes 16:8:128 --keys 8192 --queries 1 --seconds 0.2\n"
         "\n"
         "  # all of it, drawn\n"
         "  qwen-infer bench-attention --types f16,q8_0 --json a.json && python3 bench/plot_attention.py a.json "
         "a.svg\n";
}

Conditions ConditionsOf(const Options& options, const CpuBackend& cpu) {
  return {.processor = cpu.processor,
          .threads = options.threads,
          .date = Today(),
          .versions = SoftwareVersions(),
          .flags = options.text,
          .cold_bytes = options.cold_bytes,
          .simd = options.simd == "auto" ? topk::SimdTargets().front() : options.simd,
          .command = CommandOf(options)};
}

// Prints each line of the table when it is there, and adds it to `rows`.
void RunCases(const CpuBackend& cpu, const std::vector<Case>& cases, const Options& options,
              const std::atomic<bool>& stop, std::vector<Row>& rows) {
  for (const Case& the_case : cases) {
    const std::string where =
        "[" + std::to_string(rows.size() + 1) + "/" + std::to_string(cases.size()) + "] " + the_case.Name() + ": ";
    const auto say = [&where](std::string_view what) { std::cerr << where << what << "\n"; };
    Row row = RunCase(cpu, the_case, options, stop, say);
    if (options.types.size() > 1) row.speed_up_any_type = SpeedUpOverAnyType(row, rows);
    rows.push_back(std::move(row));
    std::cout << MarkdownLine(rows.back()) << std::flush;
  }
}

// Nothing stops a measurement that says little, but who reads it should know.
void WarnOfThreads(const Options& options) {
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  if (cores == 0 || options.threads <= cores) return;
  std::cerr << ("warning: --threads " + std::to_string(options.threads) + " on " + std::to_string(cores) +
                " cores: times depend on who waits for whom\n");
}

void WarnOfUnsteadyRows(const std::vector<Row>& rows) {
  const auto n = std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.IsUnsteady(); });
  if (n == 0) return;
  std::cerr
      << ("warning: in " + std::to_string(n) + " of " + std::to_string(rows.size()) +
          " lines the ratio varied by half or more: has the machine other work to do? --repeat 9 helps a little\n");
}

topk::Status FindCases(const Options& options, std::vector<Case>& cases) {
  if (!options.inputs.empty()) return RecordedCases(options, cases);
  cases = CasesOf(options);
  return {};
}

// `rows` may grow until the files are written. `conditions`: of what is measured; as they are by default until then.
// All three must outlive the result.
std::vector<FigureFile> FilesOf(const Options& options, const Conditions& conditions, const std::vector<Row>& rows) {
  const auto markdown = [&] {
    std::string text = MarkdownHead(conditions);
    for (const Row& row : rows) text += MarkdownLine(row);
    return text;
  };
  return {{"--json", options.json, [&] { return Json(conditions, rows); }},
          {"--csv", options.csv, [&] { return attention_bench::Csv(rows); }},
          {"--markdown", options.markdown, markdown}};
}

bool AsksForHelp(Arguments arguments) {
  for (const std::string_view argument : arguments) {
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

}  // namespace

int RunBenchAttention(Arguments arguments) {
  if (AsksForHelp(arguments)) {
    PrintHelp();
    return kExitSuccess;
  }
  Options options;
  topk::Status status = ParseOptions(arguments, options);
  Conditions conditions;
  std::vector<Row> rows;
  const std::vector<FigureFile> files = FilesOf(options, conditions, rows);
  if (status.ok()) status = CheckFigureFiles(files);
  std::vector<Case> cases;
  if (status.ok()) status = FindCases(options, cases);
  if (!status.ok()) {
    PrintError(status.message());
    std::cerr << "See qwen-infer bench-attention --help\n";
    return kExitUsage;
  }
  std::atomic<bool> stop = false;
  const InterruptListener listener([&stop] { stop = true; });
  topk::UseSimdTarget(options.simd == "auto" ? nullptr : options.simd.c_str());
  try {
    WarnOfThreads(options);
    const CpuBackend cpu(options.threads);
    conditions = ConditionsOf(options, cpu);
    std::cout << MarkdownHead(conditions) << std::flush;
    RunCases(cpu, cases, options, stop, rows);
    WarnOfUnsteadyRows(rows);
    status = WriteFigureFiles(files);
  } catch (const Interrupted&) {
    std::cerr << SaveFinished("interrupted", files, rows.size()) << "\n";
    return kExitInterrupted;
  } catch (const std::exception& error) {
    PrintError(error.what());
    std::cerr << SaveFinished("failed", files, rows.size()) << "\n";
    return kExitFailure;
  }
  if (status.ok()) return kExitSuccess;
  PrintError(status.message());
  return kExitFailure;
}

}  // namespace qwen_infer
