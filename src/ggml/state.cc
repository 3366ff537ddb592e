#include "state.h"

#include <ggml-backend-impl.h>
#include <ggml-impl.h>  // GGML_LOG_WARN

#include <utility>

#include "backend.h"

namespace qwen_infer {

namespace {

// Null: the process's.
thread_local std::shared_ptr<State> t_state_for_new_backends;

}  // namespace

State& State::Instance() {
  // Never destroyed: programs free their backends in static destructors, in an order that we don't know.
  static State& state = *new State;
  return state;
}

std::shared_ptr<State> State::ForNewBackends() {
  if (t_state_for_new_backends != nullptr) return t_state_for_new_backends;
  return {std::shared_ptr<void>(), &Instance()};  // owned by no one
}

StateForNewBackends::StateForNewBackends(std::shared_ptr<State> state)
    : before_(std::exchange(t_state_for_new_backends, std::move(state))) {}

StateForNewBackends::~StateForNewBackends() { t_state_for_new_backends = std::move(before_); }

std::shared_ptr<const Settings> State::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

std::string State::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void State::set_last_error(std::string message) {
  const std::lock_guard lock(mutex_);
  last_error_ = std::move(message);
}

std::string State::NoteShape(int layer, const AttentionShape& shape) {
  const std::lock_guard lock(mutex_);
  shapes_[layer] = shape;
  if (layer == kUnknownLayer) return {};
  // Layers are computed in their order.
  const bool has_begun_anew = latest_layer_ != kUnknownLayer && layer <= latest_layer_;
  latest_layer_ = layer;
  if (!has_begun_anew || layers_checked_) return {};
  layers_checked_ = true;
  // How many layers the model has is not known here: the last ones may be without attention.
  const NamedLayer named = settings_->LastNamedLayer();
  const int last = shapes_.rbegin()->first;
  if (named.layer <= last) return {};
  return named.setting + " is about layer " + std::to_string(named.layer) + ", and a whole pass came to no attention " +
         "above layer " + std::to_string(last) + ": name none but those, or leave it out";
}

std::map<int, AttentionShape> State::shapes() const {
  const std::lock_guard lock(mutex_);
  return shapes_;
}

std::shared_ptr<SelectionObserver> State::observer() const {
  const std::lock_guard lock(mutex_);
  return observer_;
}

void State::set_observer(std::shared_ptr<SelectionObserver> observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

int64_t State::MeasuredCrossover(int64_t head_size, int64_t n_query) const {
  const std::lock_guard lock(mutex_);
  return crossovers_.Find(head_size, n_query, kDefaultCrossover);
}

topk::Status State::set_settings(Settings settings) {
  std::call_once(crossovers_loaded_, [this] {
    std::string warning;
    CrossoverTable table = LoadCrossovers(CrossoverPath(), ThisMachine(), warning);
    if (!warning.empty()) GGML_LOG_WARN("%s: %s\n", kBackendName, warning.c_str());
    const std::lock_guard lock(mutex_);
    crossovers_ = std::move(table);
  });
  if (topk::Status status = CheckRecordings(settings); !status.ok()) return status;
  auto next = std::make_shared<const Settings>(std::move(settings));
  const std::lock_guard lock(mutex_);
  settings_ = std::move(next);
  layers_checked_ = false;
  recorder_.Reset();
  return {};
}

}  // namespace qwen_infer
