// Sparse masks: the results are those of the reference, hidden keys and values are not even read, and promises about
// them are neither needed nor believed.
#include "topk/gather.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::kInf;
using testing::kNan;
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

class GatherTest : public testing::TargetTest {};

TEST_F(GatherTest, DoesNotReadWhatIsHidden) {
  struct Case {
    int64_t n_query;  // keys are split among tasks, or rows
    int64_t step;     // one key in so many is visible
    int64_t most_visible;
  };
  for (const auto& [n_query, step, most_visible] : {Case{1, 20, 0}, Case{30, 20, 0}, Case{1, 3, 0}, Case{1, 20, 240},
                                                    Case{30, 20, 240}, Case{1, 20, 100}, Case{30, 20, 1}}) {
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
    const auto is_visible = [step = step](int64_t j) { return j % step == 2 && j > 100 && j < 4900; };
    for (int64_t j = 0; j < n_query * shape.n_key; ++j) {
      if (is_visible(j % shape.n_key)) mask[static_cast<size_t>(j)] = 0.0F;
    }
    problem.input.mask = {.data = mask.data(), .type = DataType::kF32, .query_stride = 4 * shape.n_key};
    problem.input.most_visible = most_visible;
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

TEST_F(GatherTest, EqualsReferenceWhenFewKeysAreVisible) {
  uint32_t seed = 800;
  for (int64_t n_query : {1, 5, 40}) {
    for (DataType type : {DataType::kF16, DataType::kQ8_0}) {
      Shape shape{.n_query = n_query,
                  .n_key = 9001,
                  .n_head = 7,
                  .n_head_kv = 1,
                  .d_k = 64,
                  .d_v = 64,
                  .k_type = type,
                  .v_type = type,
                  .mask = Shape::Mask::kSparse,
                  .sink_logits = true};
      RandomProblem problem(shape, seed++);
      for (const int64_t most_visible : {1, 440, 3000, 9001}) {  // false, nearly so for some rows, true, idle
        problem.input.most_visible = most_visible;
        ExpectEqualsReference(problem.input, {.k = 50, .sinks = 4, .window = 64}, shape.Name() + " promised");
        ExpectEqualsReference(problem.input, {.k = 1000}, shape.Name() + " promised, dense");
      }
      problem.input.most_visible = 0;
      ExpectEqualsReference(problem.input, {.k = 50, .mass = MassMode::kExact}, shape.Name());
      ExpectEqualsReference(problem.input, {.k = 64, .sinks = 4, .window = 64}, shape.Name() + " forced");
      ExpectEqualsReference(problem.input, {.k = 1000}, shape.Name() + " dense");
      ExpectEqualsReference(problem.input, {.k = 1000, .sparse = true}, shape.Name() + " all kept");
      ExpectEqualsReference(problem.input, {.k = 50, .crossover = 10000}, shape.Name() + " crossover");
      ExpectEqualsReference(problem.input, {.k = 20, .min_mass = 0.3F, .max_k = 100}, shape.Name() + " mass");
      problem.input.causal = true;
      problem.input.alibi_max_bias = 8.0F;
      problem.input.softcap = 3.0F;
      ExpectEqualsReference(problem.input, {.k = 50}, shape.Name() + " causal, ALiBi, soft-cap");
    }
  }
}

TEST_F(GatherTest, SparseMasksSurviveNumbersThatAreNotFinite) {
  for (float bad : {kNan, kInf, -kInf, 3e38F, 1e25F}) {
    for (int64_t k : {5, 5000}) {
      for (int64_t n_key : {400, 3000}) {
        const Shape shape{.n_query = 3,
                          .n_key = n_key,
                          .n_head = 2,
                          .n_head_kv = 1,
                          .d_k = 12,
                          .d_v = 4,
                          .mask = Shape::Mask::kSparse,
                          .mask_type = DataType::kF32};
        const auto expect_equal = [&](const std::string& where, auto&& spoil) {
          RandomProblem problem(shape, 31);
          int64_t visible = 100;
          while (problem.mask_f32[visible] == -kInf) ++visible;
          spoil(problem, visible);
          ExpectEqualsReference(problem.input, {.k = k}, std::to_string(bad) + " in a " + where);
        };
        expect_equal("key", [&](RandomProblem& p, int64_t j) { p.k.Set(0, j, 0, 3, bad); });
        expect_equal("value", [&](RandomProblem& p, int64_t j) { p.v.Set(0, j, 0, 3, bad); });
        expect_equal("query", [&](RandomProblem& p, int64_t) { p.q.Set(0, 0, 1, 3, bad); });
        expect_equal("mask", [&](RandomProblem& p, int64_t j) { p.mask_f32[j] = bad; });
      }
    }
  }
}

}  // namespace
}  // namespace topk
