#include "plugin.h"

#include <ggml-backend-impl.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "backend.h"
#include "state.h"
#include "version.h"

namespace qwen_infer {

namespace {

topk::Status CheckVersion() {
  const std::string mismatch = VersionMismatch(BuiltGgmlVersion(), LoadedGgmlVersion());
  return mismatch.empty() ? topk::Status() : topk::InvalidArgument(mismatch);
}

topk::Status SetSettingsOf(State& state, const Settings& settings) {
  const topk::Status status = settings.Validate();
  return status.ok() ? state.set_settings(settings) : status;
}

topk::Status RefuseOther() {
  return topk::InvalidArgument("there is a backend TOPK already; unset GGML_BACKEND_PATH if it names libggml-topk.so");
}

// Held while ggml's list of devices is changed, or read by llama.cpp to make a context.
std::mutex& DevicesMutex() {
  static std::mutex mutex;
  return mutex;
}

// Has ggml list our device while it lives.
class ListedDevice {
 public:
  ListedDevice() : was_listed_(ggml_backend_reg_by_name(kBackendName) != nullptr) {
    if (!was_listed_) ggml_backend_register(TopKRegistration());
  }
  ~ListedDevice() {
    // Backends that were made of it do not need it in the list.
    if (!was_listed_) ggml_backend_unload(TopKRegistration());
  }

  ListedDevice(const ListedDevice&) = delete;
  ListedDevice& operator=(const ListedDevice&) = delete;
  ListedDevice(ListedDevice&&) = delete;
  ListedDevice& operator=(ListedDevice&&) = delete;

 private:
  bool was_listed_;
};

}  // namespace

topk::Status RegisterTopK(const Settings& settings) {
  if (topk::Status status = CheckVersion(); !status.ok()) return status;
  const std::lock_guard lock(DevicesMutex());
  if (ggml_backend_reg_by_name(kBackendName) != nullptr) return RefuseOther();
  if (topk::Status status = SetSettings(settings); !status.ok()) return status;
  ggml_backend_register(TopKRegistration());
  return {};
}

topk::Status RegisterTopK(std::string_view settings) {
  Settings parsed;
  if (topk::Status status = ParseSettings(settings, parsed); !status.ok()) return status;
  return RegisterTopK(parsed);
}

topk::Status SetSettings(const Settings& settings) { return SetSettingsOf(State::Instance(), settings); }

Settings CurrentSettings() { return *State::Instance().settings(); }

std::vector<LayerStatistics> GetStatistics() { return State::Instance().statistics().Get(); }

void ResetStatistics() { State::Instance().statistics().Reset(); }

std::string LastError() { return State::Instance().last_error(); }

nlohmann::ordered_json CurrentStatisticsJson() { return StatisticsJson(CurrentSettings(), GetStatistics()); }

topk::Status TopKContexts::Create(const Settings& settings, std::unique_ptr<TopKContexts>& out) {
  if (topk::Status status = CheckVersion(); !status.ok()) return status;
  {
    const std::lock_guard lock(DevicesMutex());
    ggml_backend_reg_t listed = ggml_backend_reg_by_name(kBackendName);
    if (listed != nullptr && listed != TopKRegistration()) return RefuseOther();
  }
  auto state = std::make_shared<State>();
  if (topk::Status status = SetSettingsOf(*state, settings); !status.ok()) return status;
  out = std::unique_ptr<TopKContexts>(new TopKContexts(std::move(state)));
  return {};
}

void TopKContexts::MakeContext(const std::function<void()>& make) const {
  const std::lock_guard lock(DevicesMutex());
  const StateForNewBackends state(state_);
  const ListedDevice device;
  make();
}

topk::Status TopKContexts::SetSettings(const Settings& settings) { return SetSettingsOf(*state_, settings); }

Settings TopKContexts::settings() const { return *state_->settings(); }

std::vector<LayerStatistics> TopKContexts::GetStatistics() const { return state_->statistics().Get(); }

void TopKContexts::ResetStatistics() { state_->statistics().Reset(); }

std::map<int, AttentionShape> TopKContexts::shapes() const { return state_->shapes(); }

void TopKContexts::SetObserver(std::shared_ptr<SelectionObserver> observer) {
  state_->set_observer(std::move(observer));
}

std::string TopKContexts::LastError() const { return state_->last_error(); }

void TopKContexts::ForgetError() { state_->set_last_error(""); }

nlohmann::ordered_json TopKContexts::StatisticsJson() const {
  return qwen_infer::StatisticsJson(settings(), GetStatistics());
}

void MakeContextWithoutTopK(const std::function<void()>& make) {
  const std::lock_guard lock(DevicesMutex());
  make();
}

}  // namespace qwen_infer
