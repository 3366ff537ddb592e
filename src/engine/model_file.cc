#include "engine/model_file.h"

#include <ggml-cpp.h>
#include <gguf.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

// Whether a file begins as GGUF files do.
bool HasMagic(const std::string& path) {
  constexpr std::string_view kMagic = "GGUF";
  std::ifstream file(path, std::ios::binary);
  std::string start(kMagic.size(), '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start == kMagic;
}

}  // namespace

std::string WhyNoModel(const std::string& path) {
  std::error_code error;
  const std::string convert = "`qwen-infer convert " + path + "` makes a GGUF file of ";
  if (!std::filesystem::exists(path, error)) {
    constexpr std::string_view kNoFile = "there is no such file";
    if (path.ends_with(".gguf")) return std::string(kNoFile);
    return std::string(kNoFile) + "; if it is a name on the Hugging Face hub, " + convert + "it and prints its path";
  }
  if (std::filesystem::is_directory(path, error)) {
    return "it is a folder; " + convert + "the checkpoint in it and prints its path";
  }
  if (!std::ifstream(path, std::ios::binary)) return "it cannot be read";
  return HasMagic(path) ? "the file is damaged, or llama.cpp does not know its kind; its own messages tell more"
                        : "it is not a GGUF file";
}

uint64_t Fingerprint(const std::string& path) {
  constexpr uint64_t kSamples = 256;
  constexpr uint64_t kSampleBytes = 4096;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw FileError("cannot read " + path);
  const auto size = static_cast<uint64_t>(file.tellg());
  Hash hash;
  hash.Add(&size, sizeof(size));
  const uint64_t samples = std::min(kSamples, size / kSampleBytes + 1);
  std::vector<char> bytes(kSampleBytes);
  for (uint64_t i = 0; i < samples; ++i) {
    // The last one ends with the file.
    const uint64_t begin = (size - std::min(size, kSampleBytes)) * i / std::max<uint64_t>(samples - 1, 1);
    file.seekg(static_cast<std::streamoff>(begin));
    file.read(bytes.data(), static_cast<std::streamsize>(std::min(kSampleBytes, size - begin)));
    if (!file) throw FileError("cannot read " + path);
    hash.Add(bytes.data(), static_cast<size_t>(file.gcount()));
  }
  return hash.value();
}

namespace {

// A number of the model's own, "<architecture>.<name>"; nothing if it is not there.
std::optional<int64_t> CountNamed(const std::string& path, const std::string& count_name) {
  if (!HasMagic(path)) return std::nullopt;  // ggml would write to its log
  const gguf_context_ptr file(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (file == nullptr) return std::nullopt;
  const int64_t name = gguf_find_key(file.get(), "general.architecture");
  if (name < 0 || gguf_get_kv_type(file.get(), name) != GGUF_TYPE_STRING) return std::nullopt;
  const std::string key = std::string(gguf_get_val_str(file.get(), name)) + "." + count_name;
  const int64_t count = gguf_find_key(file.get(), key.c_str());
  if (count < 0 || gguf_get_kv_type(file.get(), count) != GGUF_TYPE_UINT32) return std::nullopt;
  return gguf_get_val_u32(file.get(), count);
}

}  // namespace

std::optional<int64_t> LayerCount(const std::string& path) { return CountNamed(path, "block_count"); }

std::optional<int64_t> TrainedContext(const std::string& path) { return CountNamed(path, "context_length"); }

void Hash::Add(const void* data, size_t size) {
  constexpr uint64_t kPrime = 0x100000001b3;
  const auto* bytes = static_cast<const unsigned char*>(data);
  while (size > 0) {
    uint64_t word = 0;
    const size_t count = std::min(size, sizeof(word));
    std::memcpy(&word, bytes, count);
    value_ = (value_ ^ word) * kPrime;
    value_ ^= value_ >> 32;  // the product alone never carries downwards
    bytes += count;
    size -= count;
  }
}

}  // namespace qwen_infer
