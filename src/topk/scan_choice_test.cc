// Which scan a prefill takes: the one that its keys and its number of rows ask for.
#include "topk/scan_choice.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <random>
#include <vector>

#include "topk/attention.h"
#include "topk/parallel.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"
#include "topk/tile.h"

namespace topk {
namespace {

using testing::RandomProblem;
using testing::Shape;

class ScanChoiceTest : public testing::TargetTest {};

constexpr Shape kShape{
    .n_query = 64, .n_key = 8000, .n_head = 4, .n_head_kv = 1, .d_k = 64, .d_v = 4, .mask = Shape::Mask::kCausal};
constexpr int64_t kBudget = 64;

// One head of a call, as a worker of Prefill has it.
class Head {
 public:
  Head(const AttentionInput& input, ScanMode scan)
      : options_{.k = kBudget, .scan = scan}, call_(input, options_, kNowhere), visibilities_(call_.VisibilityCount()) {
    call_.SetVisibilities(visibilities_, nullptr);  // no promise, so nothing is listed
    for (int64_t i = 0; i < call_.VisibilityCount(); ++i) call_.FindVisibilityAt(i);
    Carver measure(nullptr);
    const Parts size(measure, call_);
    if (!memory_.Reserve(measure.used())) throw std::bad_alloc();
    Carver carver(memory_.data());
    parts_ = std::make_unique<Parts>(carver, call_);
    parts_->keys.FindTransform(0, 0);
  }

  std::optional<NumberWidth> Choose() {
    if (!parts_->choice.MayTakeIntegers(call_, 0)) return std::nullopt;
    return parts_->choice.Run(call_, parts_->keys, 0, parts_->scan, 0);
  }

  // Whether a tile is scanned in the integers that the options ask for.
  bool ScansTile() {
    parts_->keys.Run(SerialExecutor());
    parts_->part.Start(call_, call_.TileAt(0), nullptr, true);
    EXPECT_EQ(static_cast<int64_t>(parts_->part.int8_rows().size()), kTileRows);
    return parts_->scan.Run(call_, 0, parts_->keys.HeadOf(0, 0), parts_->part.int8_rows());
  }

 private:
  struct Parts {
    Parts(Carver& carver, const Call& call)
        : keys(carver, call, 1),
          scan(IntegerScan::Take(carver, call)),
          choice(ScanChoice::Take(carver, call)),
          part(TilePart::Take(carver, call, kTileRows, Candidates::Capacity(kBudget, call.input.n_key))) {}
    QuantizedKeys keys;
    IntegerScan scan;
    ScanChoice choice;
    TilePart part;
  };

  inline static const AttentionOutput kNowhere{};
  TopKOptions options_;
  Call call_;
  std::vector<Visibility> visibilities_;
  ScratchMemory memory_;
  std::unique_ptr<Parts> parts_;
};

void FillTwoClusters(RandomProblem& problem) {
  std::mt19937 random(1);
  problem.k.FillTwoClusters(random, 30.0F);
}

TEST_F(ScanChoiceTest, TakesInt16WhereInt8IsTooCoarse) {
  RandomProblem problem(kShape, 1);
  FillTwoClusters(problem);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    EXPECT_FALSE(Head(problem.input, ScanMode::kInt8).ScansTile()) << target;
    EXPECT_TRUE(Head(problem.input, ScanMode::kInt16).ScansTile()) << target;
    EXPECT_EQ(Head(problem.input, ScanMode::kAuto).Choose(), NumberWidth::kInt16) << target;
  }
}

TEST_F(ScanChoiceTest, TakesTheCheapestOfThoseThatAreFineEnough) {
  const RandomProblem problem(kShape, 1);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    // Int8 leaves a little more keys, so it has to be faster for that.
    const bool is_faster = CostOfProduct(NumberWidth::kInt8) + 0.05 < CostOfProduct(NumberWidth::kInt16);
    EXPECT_EQ(Head(problem.input, ScanMode::kAuto).Choose(), is_faster ? NumberWidth::kInt8 : NumberWidth::kInt16)
        << target;
    EXPECT_TRUE(Head(problem.input, ScanMode::kInt8).ScansTile()) << target;
  }
}

TEST_F(ScanChoiceTest, TakesF32WhereNoIntegersTellKeysApart) {
  RandomProblem problem(kShape, 1);
  for (int64_t j = 0; j < kShape.n_key; ++j) {
    for (int64_t i = 0; i < kShape.d_k; ++i) problem.k.Set(0, j, 0, i, 1.0F);
  }
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    EXPECT_EQ(Head(problem.input, ScanMode::kAuto).Choose(), std::nullopt) << target;
  }
}

// Quantising the keys is shared by all rows of a KV head: few do not make up for it.
TEST_F(ScanChoiceTest, TakesF32ForFewRows) {
  Shape shape = kShape;
  shape.n_query = 3;
  RandomProblem problem(shape, 1);
  EXPECT_EQ(Head(problem.input, ScanMode::kAuto).Choose(), std::nullopt);
}

// What each row costs in integers beside its products, few keys do not make up for.
TEST_F(ScanChoiceTest, TakesF32ForFewKeys) {
  Shape shape = kShape;
  shape.n_key = 6 * kBudget;
  RandomProblem problem(shape, 1);
  EXPECT_EQ(Head(problem.input, ScanMode::kAuto).Choose(), std::nullopt);
}

}  // namespace
}  // namespace topk
