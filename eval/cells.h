// Figures as they stand in tables.
#ifndef QWEN_INFER_EVAL_CELLS_H_
#define QWEN_INFER_EVAL_CELLS_H_

#include <cstdint>
#include <string>

#include "bootstrap.h"
#include "topk/attention.h"

namespace qwen_infer::eval {

inline constexpr const char* kNothing = "-";

// "+0.65 (+0.40 to +0.90)", in units of which `scale` make one.
std::string WithInterval(const Estimate& estimate, double scale, int digits);

// Of a share: "6.2 %".
std::string Percent(double share, int digits);

// "1 window", "2 windows".
std::string Count(int64_t number, const std::string& what);

bool IsEveryRowMeasured(const topk::Statistics& attention);
std::string MeanMass(const topk::Statistics& attention);
// With a star if not every row was measured: see MassNote.
std::string LeastMass(const topk::Statistics& attention);

// What the star means; empty if there is none.
std::string MassNote(const topk::Statistics& attention);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_CELLS_H_
