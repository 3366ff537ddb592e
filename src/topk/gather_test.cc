// Sparse masks: hidden keys and values are not even read, and promises about them are not needed. That the results are
// those of the reference is tested with all others, in attention_test.cc.
#include "topk/gather.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

// A copy of one head's rows, each on a page of its own, some of which can be made unreadable.
class PagedRows {
 public:
  PagedRows(const TensorView& rows, int64_t n_rows, int64_t row_bytes)
      : page_(sysconf(_SC_PAGESIZE)),
        bytes_(static_cast<size_t>(page_ * n_rows)),
        memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) return;
    for (int64_t j = 0; j < n_rows; ++j) std::memcpy(RowAt(j), rows.Row(0, j, 0), static_cast<size_t>(row_bytes));
  }
  ~PagedRows() {
    if (IsThere()) munmap(memory_, bytes_);
  }
  PagedRows(const PagedRows&) = delete;
  PagedRows& operator=(const PagedRows&) = delete;
  PagedRows(PagedRows&&) = delete;
  PagedRows& operator=(PagedRows&&) = delete;

  bool IsThere() const { return memory_ != MAP_FAILED; }
  bool Forbid(int64_t j) { return mprotect(RowAt(j), static_cast<size_t>(page_), PROT_NONE) == 0; }
  TensorView View(DataType type) const { return {.data = memory_, .type = type, .token_stride = page_}; }

 private:
  uint8_t* RowAt(int64_t j) { return static_cast<uint8_t*>(memory_) + j * page_; }

  int64_t page_;
  size_t bytes_;
  void* memory_;
};

TEST(GatherTest, DoesNotReadWhatIsHidden) {
  for (const int64_t n_query : {1, 30}) {  // keys split among tasks, and rows
    const Shape shape{.n_query = n_query,
                      .n_key = 5000,
                      .n_head = 4,
                      .n_head_kv = 1,
                      .d_k = 33,
                      .d_v = 40,
                      .k_type = DataType::kF16,
                      .v_type = DataType::kF16};
    RandomProblem problem(shape, 1);
    std::vector<float> mask(static_cast<size_t>(n_query * shape.n_key), -std::numeric_limits<float>::infinity());
    const auto is_visible = [](int64_t j) { return j % 20 == 3 && j > 100 && j < 4900; };
    for (int64_t j = 0; j < n_query * shape.n_key; ++j) {
      if (is_visible(j % shape.n_key)) mask[static_cast<size_t>(j)] = 0.0F;
    }
    problem.input.mask = {.data = mask.data(), .type = DataType::kF32, .query_stride = 4 * shape.n_key};
    OutputTensor expected(problem.input);

    PagedRows keys(problem.input.k, shape.n_key, RowBytes(shape.k_type, shape.d_k));
    PagedRows values(problem.input.v, shape.n_key, RowBytes(shape.v_type, shape.d_v));
    ASSERT_TRUE(keys.IsThere() && values.IsThere());
    for (int64_t j = 0; j < shape.n_key; ++j) {
      ASSERT_TRUE(is_visible(j) || (keys.Forbid(j) && values.Forbid(j)));
    }
    problem.input.k = keys.View(shape.k_type);
    problem.input.v = values.View(shape.v_type);
    for (const TopKOptions& options : {TopKOptions{.k = 50}, TopKOptions{.k = 50, .sinks = 4, .window = 20},
                                       TopKOptions{.k = 5000}, TopKOptions{.k = 50, .crossover = 2000}}) {
      ASSERT_TRUE(ReferenceAttention(problem.input, options, {expected.view()}).ok());
      OutputTensor out(problem.input);
      ASSERT_TRUE(Attention(problem.input, options, {out.view()}, SerialExecutor()).ok());
      for (size_t i = 0; i < out.numbers.size(); ++i) ASSERT_NEAR(out.numbers[i], expected.numbers[i], 2e-4F) << i;
    }
  }
}

}  // namespace
}  // namespace topk
