#include "state.h"

#include <utility>

namespace qwen_infer {

State& State::Instance() {
  // Never destroyed: programs free their backends in static destructors, in an order that we don't know.
  static State& state = *new State;
  return state;
}

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

topk::Status State::set_settings(Settings settings) {
  if (topk::Status status = CheckRecordings(settings); !status.ok()) return status;
  auto next = std::make_shared<const Settings>(std::move(settings));
  const std::lock_guard lock(mutex_);
  settings_ = std::move(next);
  recorder_.Reset();
  return {};
}

}  // namespace qwen_infer
