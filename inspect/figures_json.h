// The figures of a report as JSON, for its file and for its page.
#ifndef QWEN_INFER_INSPECT_FIGURES_JSON_H_
#define QWEN_INFER_INSPECT_FIGURES_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "report.h"

namespace qwen_infer::inspect {

// As Json (report.h) describes.
nlohmann::ordered_json FiguresJson(const Report& report);

// By key: the share of all weights of the layers that it got.
std::vector<double> MeanReceived(const Capture& capture);

// The keys that got the most, the most first, at most kMostAttended.
inline constexpr size_t kMostAttended = 16;
std::vector<size_t> MostAttended(const std::vector<double>& received);

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_FIGURES_JSON_H_
