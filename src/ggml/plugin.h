// Top-k attention for a program that links it instead of loading libggml-topk.so. Needs libggml at link time.
#ifndef QWEN_INFER_SRC_GGML_PLUGIN_H_
#define QWEN_INFER_SRC_GGML_PLUGIN_H_

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profile.h"
#include "selection_observer.h"
#include "settings.h"
#include "statistics.h"
#include "topk/status.h"

namespace qwen_infer {

// Registers the device "TOPK" with ggml, with these settings. Call it once. Contexts that are created later have it
// (llama.cpp collects the devices then) if flash attention is on; earlier ones stay llama.cpp's own. kInvalidArgument,
// and nothing registered, if the settings are invalid, if the process has loaded another ggml than the one compiled
// against, or if there is a device "TOPK" already, for example from the environment variable GGML_BACKEND_PATH.
topk::Status RegisterTopK(const Settings& settings);

// The same with the defaults changed by `settings`, in the text form of settings.h.
topk::Status RegisterTopK(std::string_view settings);

// All of the following may be called from any thread at any time, registered or not.

// Takes effect from the next graph that is computed. kInvalidArgument, changing nothing, if they are invalid.
topk::Status SetSettings(const Settings& settings);
Settings CurrentSettings();

std::vector<LayerStatistics> GetStatistics();
void ResetStatistics();

// Why the last computation that failed did, as in ggml's log, which some tools silence; empty if none has failed.
std::string LastError();

// GetStatistics with the current settings, in the form that StatisticsJson (statistics.h) describes.
nlohmann::ordered_json CurrentStatisticsJson();

class State;

// Top-k attention for some contexts of a process, with settings and statistics of their own: for programs that hold
// several models, or contexts with and without it. Functions other than MakeContext may be called from any thread at
// any time.
class TopKContexts {
 public:
  // Refuses what RegisterTopK refuses, except that it does not mind if that was called.
  static topk::Status Create(const Settings& settings, std::unique_ptr<TopKContexts>& out);

  // Calls `make`: contexts that it makes on this thread, with flash attention, belong here, and none that other threads
  // make meanwhile with MakeContext or MakeContextWithoutTopK. ggml's registry of devices, which is changed for as
  // long, is for one thread at a time: these two functions wait for each other.
  void MakeContext(const std::function<void()>& make) const;

  topk::Status SetSettings(const Settings& settings);
  Settings settings() const;
  std::vector<LayerStatistics> GetStatistics() const;
  void ResetStatistics();
  // What the attention of each layer looks like, of those that were computed.
  std::map<int, AttentionShape> shapes() const;
  // Has these contexts show what their layers keep, from the next operation on; null: nobody looks.
  void SetObserver(std::shared_ptr<SelectionObserver> observer);
  // Since ForgetError; empty if none.
  std::string LastError() const;
  void ForgetError();
  nlohmann::ordered_json StatisticsJson() const;

 private:
  explicit TopKContexts(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

// Calls `make`, whose contexts are llama.cpp's own unless RegisterTopK was called.
void MakeContextWithoutTopK(const std::function<void()>& make);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_PLUGIN_H_
