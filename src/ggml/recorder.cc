#include "recorder.h"

#include <string>

#include "atomic_file.h"
#include "recording.h"

namespace qwen_infer {

topk::Status CheckRecordings(const Settings& settings) {
  for (const auto& [layer, path] : settings.recordings) {
    if (topk::Status status = CheckWritable(path); !status.ok()) return status;
  }
  return {};
}

topk::Status Recorder::Record(const topk::AttentionInput& input, int layer, const Settings& settings) {
  const auto found = settings.recordings.find(layer);
  if (found == settings.recordings.end() || input.n_query != settings.record_queries) return {};
  if (KeysInUse(input) < settings.record_keys) return {};
  const std::lock_guard lock(mutex_);
  if (!written_.insert(layer).second) return {};
  return WriteRecording(input, layer, found->second);
}

void Recorder::Reset() {
  const std::lock_guard lock(mutex_);
  written_.clear();
}

}  // namespace qwen_infer
