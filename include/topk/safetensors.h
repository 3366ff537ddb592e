// Tensors in files of the safetensors format (https://github.com/huggingface/safetensors), read without trust: a header
// that is too long, is no JSON, or whose offsets, sizes, types or shapes contradict each other or the file is refused
// before any tensor is read, so memory follows the file's size and not its claims.
#ifndef TOPK_SAFETENSORS_H_
#define TOPK_SAFETENSORS_H_

#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topk/status.h"

namespace topk {

struct SafetensorsEntry {
  std::string dtype;  // "F32", "F16", "BF16", "I64", ...
  std::vector<int64_t> shape;
  int64_t begin = 0;  // bytes in the file
  int64_t end = 0;
};

// One file, open for reading. To be used by one thread at a time. The file must not change meanwhile; if it does, reads
// give other numbers or fail, nothing worse.
class SafetensorsFile {
 public:
  // kInvalidArgument, naming the path and what is wrong with it. `file` is unchanged on error.
  static Status Open(const std::string& path, SafetensorsFile& file);

  const std::map<std::string, SafetensorsEntry, std::less<>>& entries() const { return entries_; }
  bool Has(std::string_view name) const { return entries_.find(name) != entries_.end(); }

  // Reads a tensor of F32, or of F16 or BF16 converted, into `numbers`. kInvalidArgument if there is none of that name,
  // or it has another type or shape. `numbers` is unchanged on error.
  Status Read(std::string_view name, std::span<const int64_t> shape, std::vector<float>& numbers);

 private:
  std::string path_;
  std::ifstream stream_;
  std::map<std::string, SafetensorsEntry, std::less<>> entries_;
};

struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::span<const float> numbers;  // as many as the shape says
};

// Writes tensors of F32, the whole file or none: a reader sees the old file or the new one.
Status WriteSafetensors(const std::string& path, std::span<const NamedTensor> tensors);

}  // namespace topk

#endif  // TOPK_SAFETENSORS_H_
