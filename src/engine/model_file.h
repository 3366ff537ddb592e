// What can be told about a model's file from outside.
#ifndef QWEN_INFER_SRC_ENGINE_MODEL_FILE_H_
#define QWEN_INFER_SRC_ENGINE_MODEL_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace qwen_infer {

// Why a file that llama.cpp could not load is no model, and what to do if it is a checkpoint or its name.
std::string WhyNoModel(const std::string& path);

// Tells models apart: a hash of the file's size and of samples from all over it. Files of one size that differ in a few
// bytes only may have the same; a model that was trained further differs everywhere. Throws FileError if the file
// cannot be read.
uint64_t Fingerprint(const std::string& path);

// How many layers its description says that the model has; nothing if it says nothing or is no GGUF file. Reads no
// weights.
std::optional<int64_t> LayerCount(const std::string& path);
// The same of the tokens of context that it was trained with.
std::optional<int64_t> TrainedContext(const std::string& path);

// FNV-1a, eight bytes a step: finds damage, not intent.
class Hash {
 public:
  void Add(const void* data, size_t size);
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_MODEL_FILE_H_
