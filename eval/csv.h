// Cells of comma-separated values (RFC 4180).
#ifndef QWEN_INFER_EVAL_CSV_H_
#define QWEN_INFER_EVAL_CSV_H_

#include <string>

#include "bootstrap.h"
#include "topk/attention.h"

namespace qwen_infer::eval {

// Every digit that the number has; an empty cell for NaN.
std::string CsvNumber(double x);

// In quotes, which settings need for their commas.
std::string CsvQuoted(const std::string& text);

// Share of the keys that is kept, mean mass and least mass: three cells, those of masses empty where none was measured.
std::string CsvCells(const topk::Statistics& attention);

// Mean, and the ends of the interval: three cells.
std::string CsvCells(const Estimate& estimate);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_CSV_H_
