#include "engine/log.h"

#include <llama.h>
#include <log.h>

#include <cstdio>
#include <mutex>
#include <string>

#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

struct Log {
  std::mutex mutex;
  LogLevel level = LogLevel::kErrors;
  bool in_error = false;  // what continues a message belongs to one
  std::string errors;
};

// Never freed: llama.cpp logs until the very end.
Log& TheLog() {
  static Log* log = new Log;
  return *log;
}

constexpr size_t kMostErrors = 2000;  // characters

void Take(ggml_log_level level, const char* text, void* /*data*/) {
  Log& log = TheLog();
  const std::lock_guard lock(log.mutex);
  if (level != GGML_LOG_LEVEL_CONT) log.in_error = level == GGML_LOG_LEVEL_ERROR;
  if (log.in_error && log.errors.size() < kMostErrors) log.errors += text;
  if (log.level == LogLevel::kAll && level != GGML_LOG_LEVEL_DEBUG) std::fputs(text, stderr);
}

}  // namespace

void SetLogLevel(LogLevel level) {
  Log& log = TheLog();
  {
    const std::lock_guard lock(log.mutex);
    log.level = level;
  }
  llama_log_set(Take, nullptr);
  // What llama.cpp's common library says goes another way.
  common_log_set_verbosity_thold(level == LogLevel::kAll ? LOG_LEVEL_INFO : LOG_LEVEL_OUTPUT);
}

void ForgetErrors() {
  Log& log = TheLog();
  const std::lock_guard lock(log.mutex);
  log.errors.clear();
}

std::string WithErrors(std::string_view what) {
  Log& log = TheLog();
  const std::lock_guard lock(log.mutex);
  std::string errors = log.errors;
  while (!errors.empty() && errors.back() == '\n') errors.pop_back();
  return errors.empty() ? std::string(what) : std::string(what) + ": " + errors;
}

}  // namespace qwen_infer
