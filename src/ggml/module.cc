// The entry point of libggml-topk.so, which ggml calls when it loads the file (GGML_BACKEND_PATH). Refuses, with the
// reason in ggml's log, rather than computing something that was not asked for.
#include <ggml-backend-impl.h>
#include <ggml-impl.h>  // GGML_LOG_ERROR

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include "backend.h"
#include "settings.h"
#include "state.h"
#include "version.h"

namespace {

constexpr const char* kSettingsVariable = "TOPK_ATTENTION";

ggml_backend_reg_t Refuse(const std::string& reason) {
  GGML_LOG_ERROR("%s: %s\n", qwen_infer::kBackendName, reason.c_str());
  GGML_LOG_ERROR("%s: continuing WITHOUT top-k attention\n", qwen_infer::kBackendName);
  return nullptr;
}

// With -fa auto or off llama.cpp has no op for us, and says nothing. Runs when this library is unloaded, at the latest
// when the process ends; not through ggml's log, which may be gone by then.
__attribute__((destructor)) void SayIfUnused() {
  const qwen_infer::State& state = qwen_infer::State::Instance();
  if (!state.any_context || state.any_attention) return;
  std::fprintf(stderr, "%s: got no attention to compute; run with -fa on, and K and V in f32, f16, bf16 or q8_0\n",
               qwen_infer::kBackendName);
}

ggml_backend_reg_t Load() {
  using namespace qwen_infer;  // NOLINT(google-build-using-namespace): all of this function is about it
  if (const std::string mismatch = VersionMismatch(BuiltGgmlVersion(), LoadedGgmlVersion()); !mismatch.empty()) {
    return Refuse(mismatch);
  }
  if (ggml_backend_reg_by_name(kBackendName) != nullptr) {
    return Refuse("this program has top-k attention already; it does not need the plugin, unset GGML_BACKEND_PATH");
  }
  Settings settings;
  topk::Status status;
  if (const char* text = std::getenv(kSettingsVariable); text != nullptr) status = ParseSettings(text, settings);
  if (status.ok()) status = State::Instance().set_settings(std::move(settings));
  if (!status.ok()) return Refuse(std::string(kSettingsVariable) + ": " + status.message());
  return TopKRegistration();
}

ggml_backend_reg_t LoadOrRefuse() {
  try {
    return Load();
  } catch (const std::exception& error) {
    return Refuse(error.what());
  }
}

}  // namespace

GGML_BACKEND_DL_IMPL(LoadOrRefuse)
