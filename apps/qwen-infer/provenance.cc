#include "provenance.h"

#include <chrono>
#include <ctime>

#include "build-info.h"
#include "llama.h"
#include "program_version.h"
#include "version.h"

namespace qwen_infer {

std::string Today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts = {};
  localtime_r(&now, &parts);
  char text[sizeof("2026-01-31")];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return text;
}

std::map<std::string, std::string> SoftwareVersions() {
  return {{"qwen-infer", kVersion},
          {"llama.cpp", std::string(llama_version()) + " (" + llama_commit() + ")"},
          {"ggml", std::string(LoadedGgmlVersion().version)}};
}

}  // namespace qwen_infer
