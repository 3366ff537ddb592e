// Saves the inputs of layers on their way to the kernels, as the settings ask.
#ifndef QWEN_INFER_SRC_GGML_RECORDER_H_
#define QWEN_INFER_SRC_GGML_RECORDER_H_

#include <mutex>
#include <set>

#include "settings.h"
#include "topk/attention.h"
#include "topk/status.h"

namespace qwen_infer {

// An error, naming path and reason, if one of the files could not be written now.
topk::Status CheckRecordings(const Settings& settings);

// All functions may be called from any thread at any time.
class Recorder {
 public:
  // Writes the layer's file if this is the first call since Reset that it is meant for: one of exactly record_queries
  // queries with a file for its layer and record_keys keys that some query sees, or more. (ggml's operation has keys on
  // top that nobody sees: llama.cpp rounds their number up.)
  topk::Status Record(const topk::AttentionInput& input, int layer, const Settings& settings);
  void Reset();

 private:
  std::mutex mutex_;
  std::set<int> written_;  // layers
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_RECORDER_H_
