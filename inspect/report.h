// What was captured as text: for people, for programs, and as one page to look at.
#ifndef QWEN_INFER_INSPECT_REPORT_H_
#define QWEN_INFER_INSPECT_REPORT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capture.h"
#include "qwen_infer/engine.h"

namespace qwen_infer::inspect {

struct SettingCapture {
  std::string name;      // as the user wrote it: "k=128,sinks=4"
  std::string settings;  // all of them
  std::shared_ptr<const Capture> capture;
};

struct Report {
  std::string model;                            // the file's name
  std::string model_description;                // "qwen2 0.5B Q4_K - Medium"
  std::string prompt_file;                      // the name alone
  std::string date;                             // "2026-01-31"
  std::map<std::string, std::string> versions;  // by name of the software
  std::string cache_type;
  int64_t n_layer = 0;              // of the model
  std::vector<Token> tokens;        // of the prompt
  std::vector<std::string> pieces;  // their bytes, which are no whole characters everywhere
  std::vector<SettingCapture> settings;
};

// Of all keys that the rows of these heads saw, and over all their rows.
HeadFigures Total(const Capture& capture);

// A line for each setting.
std::string Table(const Report& report);

// {"program": "qwen-infer inspect", what is in Report by the same names, "n_token", "strongest", "settings": [{"name",
// "settings", FIGURES, "most_attended": TOKENS, "layers": [{"layer", "most_attended": TOKENS, "heads": [{FIGURES,
// "weight_by_distance", "kept_by_distance"}, ...]}, ...]}, ...]}, where
//   FIGURES  "kept_share", "mean_mass", "min_mass" (null if it is of no number)
//   TOKENS   [{"position", "token", "text", "share"}, ...]: of all weights, the largest first
// and the lists by distance have the bins of head_figures.h: the share of the weights, and the share of the keys kept.
std::string Json(const Report& report);

// One page that asks for nothing from elsewhere, with the figures of Json and what was captured of each token (page/
// has the other end). nonce: random; the page's own script and style carry it, and nothing else runs.
std::string Html(const Report& report, std::string_view nonce);

// The page as built, with "@NONCE@", "@REPORT@" and "@DATA@" where those belong.
extern const std::span<const unsigned char> kPageBytes;

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_REPORT_H_
