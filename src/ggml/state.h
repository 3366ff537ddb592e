// What backends share: settings and statistics. One for the whole process, and others for contexts of their own.
#ifndef QWEN_INFER_SRC_GGML_STATE_H_
#define QWEN_INFER_SRC_GGML_STATE_H_

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "crossover.h"
#include "profile.h"
#include "recorder.h"
#include "selection_observer.h"
#include "settings.h"
#include "statistics.h"
#include "topk/status.h"

namespace qwen_infer {

// All functions may be called from any thread at any time.
class State {
 public:
  // Of the process: what backends get that nothing else is said about.
  static State& Instance();

  // Of the backends that the calling thread makes now.
  static std::shared_ptr<State> ForNewBackends();

  // The settings as they are now; a computation that has begun keeps those that it began with.
  std::shared_ptr<const Settings> settings() const;
  // Takes settings that are valid. Refuses, changing nothing, those that want recordings where none can be written.
  topk::Status set_settings(Settings settings);

  // Why the last computation that failed did; empty if none has.
  std::string last_error() const;
  void set_last_error(std::string message);

  // Whether a context was made that could give us attention, and whether one ever did; statistics may be reset.
  std::atomic<bool> any_context = false;
  std::atomic<bool> any_attention = false;

  // The crossover of this machine for such calls; the default before the first settings were taken, which is when the
  // user's file is read, once.
  int64_t MeasuredCrossover(int64_t head_size, int64_t n_query) const;

  // What the attention of each layer looks like, as far as any was computed: of a layer's latest. Returns a warning,
  // once for each time that settings were taken, if they are about a layer above all that a whole pass came to; else
  // nothing.
  std::string NoteShape(int layer, const AttentionShape& shape);
  std::map<int, AttentionShape> shapes() const;

  // Who looks at selections, from the next operation on; null, as at first: nobody.
  std::shared_ptr<SelectionObserver> observer() const;
  void set_observer(std::shared_ptr<SelectionObserver> observer);

  StatisticsBook& statistics() { return statistics_; }
  Recorder& recorder() { return recorder_; }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_ = std::make_shared<const Settings>();
  std::string last_error_;
  std::map<int, AttentionShape> shapes_;
  int latest_layer_ = kUnknownLayer;
  bool layers_checked_ = false;  // of settings_
  std::shared_ptr<SelectionObserver> observer_;
  StatisticsBook statistics_;
  Recorder recorder_;
  std::once_flag crossovers_loaded_;
  CrossoverTable crossovers_;
};

// While it lives, backends that the calling thread makes get this state instead of the process's.
class StateForNewBackends {
 public:
  explicit StateForNewBackends(std::shared_ptr<State> state);
  ~StateForNewBackends();

  StateForNewBackends(const StateForNewBackends&) = delete;
  StateForNewBackends& operator=(const StateForNewBackends&) = delete;

 private:
  std::shared_ptr<State> before_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_STATE_H_
