// The files that a benchmark is asked to write its figures to.
#ifndef QWEN_INFER_BENCH_SHARED_FIGURE_FILES_H_
#define QWEN_INFER_BENCH_SHARED_FIGURE_FILES_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "topk/status.h"

namespace qwen_infer {

struct FigureFile {
  std::string_view flag;                 // "--json"
  std::string path;                      // empty: not asked for
  std::function<std::string()> content;  // may be null as long as nothing is written
};

// Before anything is measured: an error, naming the flags, if two of the files are the same, or if one cannot be
// written.
topk::Status CheckFigureFiles(std::span<const FigureFile> files);

// Writes those that were asked for, each whole or not at all; stops at the first that fails.
topk::Status WriteFigureFiles(std::span<const FigureFile> files);

// How a run ends early: writes what is finished. Returns what to tell the user, such as "interrupted: saved the 2 lines
// that are finished: a.json", where `what` is "interrupted".
std::string SaveFinished(std::string_view what, std::span<const FigureFile> files, size_t n_lines);

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_FIGURE_FILES_H_
