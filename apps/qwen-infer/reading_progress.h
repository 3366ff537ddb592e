// How much of a long text the model has read, in the terminal at standard error; nothing where there is none.
#ifndef QWEN_INFER_APPS_READING_PROGRESS_H_
#define QWEN_INFER_APPS_READING_PROGRESS_H_

#include <chrono>
#include <cstdint>

namespace qwen_infer {

class ReadingProgress {
 public:
  ReadingProgress();

  // Reading begins.
  void Start();
  void Show(int64_t read, int64_t total);
  // Takes it away again.
  void Clear();

 private:
  bool is_terminal_;
  bool is_shown_ = false;
  int64_t shown_ = 0;  // tokens
  std::chrono::steady_clock::time_point start_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_READING_PROGRESS_H_
