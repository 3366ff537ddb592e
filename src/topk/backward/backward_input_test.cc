// What the backward pass makes of input that is not finite, empty or refused: nothing else is touched.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>

#include "topk/backward.h"
#include "topk/backward/backward_for_test.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"
#include "topk/testing/thread_executor.h"

namespace topk {
namespace {

using testing::Gradients;
using testing::kInf;
using testing::kNan;
using testing::Shape;
using testing::Step;
using testing::ThreadExecutor;

class BackwardInputTest : public testing::TargetTest {};

TEST_F(BackwardInputTest, NumbersThatAreNotFiniteStayWhereTheyTakePart) {
  for (const float bad : {kNan, kInf, -kInf, 3e38F}) {
    for (int what = 0; what < 4; ++what) {
      const Shape shape{.n_query = 12, .n_key = 60, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kCausal};
      Step step(shape, 700, {.k = 8}, nullptr);
      const KeyIndex key = step.selection.keys[step.selection.row_offsets[4]];  // of query 1, head 0
      if (what == 0) step.problem.q.Set(0, 1, 0, 3, bad);
      if (what == 1) step.problem.k.Set(0, key, 0, 3, bad);
      if (what == 2) step.problem.v.Set(0, key, 0, 3, bad);
      if (what == 3) step.d_out.Set(0, 1, 0, 3, bad);
      Gradients got(step.input(), step.selection.keys.size());
      ASSERT_TRUE(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), got.view,
                                    ThreadExecutor(2).executor())
                      .ok());
      EXPECT_FALSE(got.IsUntouched());
      // Heads 2 and 3 read the other KV head.
      for (int64_t query = 0; query < shape.n_query; ++query) {
        for (int64_t head = 2; head < 4; ++head) {
          for (int64_t i = 0; i < shape.d_k; ++i) {
            ASSERT_TRUE(std::isfinite(got.view.d_q.Row(0, query, head)[i])) << what << " " << bad;
          }
        }
      }
      for (int64_t j = 0; j < shape.n_key; ++j) {
        for (int64_t i = 0; i < shape.d_k; ++i) {
          ASSERT_TRUE(std::isfinite(got.view.d_k.Row(0, j, 1)[i])) << what << " " << bad;
          ASSERT_TRUE(std::isfinite(got.view.d_v.Row(0, j, 1)[i])) << what << " " << bad;
        }
      }
    }
  }
}

TEST_F(BackwardInputTest, AcceptsEmptyInputsAndRowsAndClearsTheirGradients) {
  const auto expect_zeros = [](const Step& step, const std::string& what) {
    Gradients got(step.input(), step.selection.keys.size());
    ASSERT_EQ(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), got.view,
                                SerialExecutor())
                  .message(),
              "")
        << what;
    const auto expect = [&](const OutputView& view, int64_t n_token, int64_t n_head, int64_t d) {
      for (int64_t row = 0; row < step.input().n_batch * n_token * n_head; ++row) {
        const float* numbers = view.Row(0, row / n_head, row % n_head);
        EXPECT_TRUE(std::all_of(numbers, numbers + d, [](float x) { return x == 0.0F; })) << what;
      }
    };
    expect(got.view.d_q, step.input().n_query, 4, 24);
    expect(got.view.d_k, step.input().n_key, 2, 24);
    expect(got.view.d_v, step.input().n_key, 2, 20);
    EXPECT_EQ(got.scale, 0.0) << what;
  };
  expect_zeros(Step({.n_query = 0}, 1, {}, nullptr), "no queries");
  expect_zeros(Step({.n_key = 0}, 1, {}, nullptr), "no keys");
  expect_zeros(Step({.n_batch = 0}, 1, {}, nullptr), "no batches");
  expect_zeros(Step({.mask = Shape::Mask::kAllHidden}, 1, {}, nullptr), "rows that see nothing");
}

TEST_F(BackwardInputTest, RefusesWhatIsOutOfRangeAndTouchesNothing) {
  const auto expect_refused =
      [](const std::function<void(AttentionInput&, Selection&, TensorView&, AttentionGradients&)>& spoil,
         const std::string& message) {
        Step step({.n_query = 300}, 800, {.k = 4}, nullptr);
        Gradients gradients(step.input(), step.selection.keys.size());
        AttentionInput input = step.input();
        TensorView d_out = step.d_out.view();
        AttentionGradients view = gradients.view;
        spoil(input, step.selection, d_out, view);
        for (const ThreadExecutor& threads : {ThreadExecutor(1), ThreadExecutor(3)}) {
          const Status status =
              AttentionBackward(input, step.options, step.selection.View(), d_out, view, threads.executor());
          EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << message;
          EXPECT_EQ(status.message(), message);
        }
        const Status status = ReferenceAttentionBackward(input, step.options, step.selection.View(), d_out, view);
        EXPECT_EQ(status.message(), message);
        EXPECT_TRUE(gradients.IsUntouched()) << message;
      };
  using In = AttentionInput;
  using Sel = Selection;
  using View = TensorView;
  using Grad = AttentionGradients;
  expect_refused([](In& in, Sel&, View&, Grad&) { in.d_k = 0; },
                 "d_k=0 is out of range: it must be from 1 to " + std::to_string(kMaxHeadSize));
  expect_refused([](In& in, Sel&, View&, Grad&) { in.dropout_p = 1.0F; },
                 "dropout_p=1.000000 is out of range: it must be from 0 to below 1");
  expect_refused([](In&, Sel&, View& d_out, Grad&) { d_out.type = DataType::kF16; }, "d_out.type must be f32");
  expect_refused([](In&, Sel&, View& d_out, Grad&) { d_out.data = nullptr; }, "d_out.data is null");
  expect_refused([](In&, Sel&, View&, Grad& gradients) { gradients.d_k.head_stride = 92; },
                 "d_k has overlapping rows: each stride must be at least 4 * 24 = 96 bytes");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets.pop_back(); },
                 "selection.row_offsets has 1200 numbers: it must have n_batch * n_query * n_head + 1 = 1201");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets = {}; },
                 "selection.row_offsets has 0 numbers: it must have n_batch * n_query * n_head + 1 = 1201");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[0] = -4; },
                 "selection.row_offsets[0]=-4 must be 0");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[7] = 23; },
                 "selection.row_offsets[7]=23 is below selection.row_offsets[6]=24: offsets must ascend");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[1200] += 1; },
                 "selection.row_offsets[1200]=4801 must be the number of selection.keys, 4800");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.weights.pop_back(); },
                 "selection.weights has 4799 numbers: it must have as many as selection.keys, 4800");
  expect_refused(
      [](In&, Sel& selection, View&, Grad&) {
        selection.keys[4799] = 100;
        selection.keys[4003] = 1 << 30;  // the first is named
        selection.keys[4002] = 98;
      },
      "selection.keys[4003]=1073741824 of row 1000 must be from 99 to 99: keys ascend within a row and are below "
      "n_key");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.keys[8] = -1; },
                 "selection.keys[8]=-1 of row 2 must be from 0 to 99: keys ascend within a row and are below n_key");
  expect_refused(
      [](In&, Sel& selection, View&, Grad&) {
        selection.keys[9] = 7;
        selection.keys[10] = 7;
        selection.keys[8] = 3;
      },
      "selection.keys[10]=7 of row 2 must be from 8 to 99: keys ascend within a row and are below n_key");
}

TEST_F(BackwardInputTest, RefusesAnExecutorThatCannotRun) {
  const Step step({}, 1, {}, nullptr);
  Gradients gradients(step.input(), step.selection.keys.size());
  EXPECT_EQ(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), gradients.view, {})
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(gradients.IsUntouched());
}

}  // namespace
}  // namespace topk
