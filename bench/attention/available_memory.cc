#include "attention/available_memory.h"

#include <fstream>
#include <limits>

namespace qwen_infer::attention_bench {

int64_t AvailableMemoryBytes(const std::string& file) {
  std::ifstream lines(file);
  std::string name;
  int64_t kibibytes = 0;
  while (lines >> name) {
    if (name == "MemAvailable:" && lines >> kibibytes && kibibytes >= 0) return kibibytes << 10;
    lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::numeric_limits<int64_t>::max();
}

}  // namespace qwen_infer::attention_bench
