// What Attention allocates: measured by replacing the global allocation functions of this test program.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "topk/attention.h"
#include "topk/backward.h"
#include "topk/carver.h"
#include "topk/testing/random_input.h"

namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
std::atomic<int64_t> allocated_bytes = 0;
std::atomic<int64_t> allocations_left = kUnlimited;  // then every one fails

void* Allocate(size_t bytes, size_t alignment) {
  if (allocations_left != kUnlimited) {
    const int64_t left = --allocations_left;
    if (left < 0) return nullptr;
  }
  allocated_bytes += static_cast<int64_t>(bytes);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

}  // namespace

void* operator new(size_t bytes) {
  if (void* p = Allocate(bytes, alignof(std::max_align_t))) return p;
  throw std::bad_alloc();
}
void* operator new(size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(bytes, static_cast<size_t>(alignment));
}
// NOLINTBEGIN(cppcoreguidelines-no-malloc): these are the allocation functions
// Inlined, GCC sees a pointer of operator new go to free and warns.
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t /*bytes*/) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t /*alignment*/) noexcept { std::free(p); }
// NOLINTEND(cppcoreguidelines-no-malloc)

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

int64_t MeasuredBytes(const RandomProblem& problem, const TopKOptions& options) {
  OutputTensor out(problem.input);
  const int64_t before = allocated_bytes;
  EXPECT_TRUE(Attention(problem.input, options, {out.view()}, SerialExecutor()).ok());
  return allocated_bytes - before;
}

Shape Prefill(int64_t n_query, int64_t n_key) {
  return {.n_query = n_query,
          .n_key = n_key,
          .n_head = 4,
          .n_head_kv = 2,
          .d_k = 16,
          .d_v = 16,
          .mask = Shape::Mask::kCausal};
}

TEST(ScratchTest, IsWhatScratchBytesSays) {
  for (int64_t n_query : {1, 300}) {
    for (ScanMode scan : {ScanMode::kAuto, ScanMode::kF32, ScanMode::kInt8, ScanMode::kInt16}) {
      const RandomProblem problem(Prefill(n_query, 5000), 1);
      const TopKOptions options{.k = 32, .scan = scan};
      EXPECT_EQ(MeasuredBytes(problem, options), ScratchBytes(problem.input, options, 1));
    }
  }
}

TEST(ScratchTest, HoldsThePromisedKeysOfEachMaskRow) {
  Shape shape = Prefill(300, 5000);
  shape.mask = Shape::Mask::kSparse;
  RandomProblem problem(shape, 1);
  const TopKOptions options{.k = 32};
  const int64_t without = MeasuredBytes(problem, options);
  const auto bytes_with = [&](int64_t most_visible) {
    problem.input.most_visible = most_visible;
    EXPECT_EQ(MeasuredBytes(problem, options), ScratchBytes(problem.input, options, 1)) << most_visible;
    return MeasuredBytes(problem, options);
  };
  EXPECT_NEAR(static_cast<double>(bytes_with(500) - without), 300 * 500 * 4, 300 * 100);
  EXPECT_EQ(bytes_with(4000), without) << "too many to be gathered";
  problem.input.n_key = kMaxKeys;
  problem.input.n_query = int64_t{1} << 30;
  problem.input.most_visible = 0;
  const int64_t huge = ScratchBytes(problem.input, {.k = 32, .scan = ScanMode::kF32}, 1);
  problem.input.most_visible = int64_t{1} << 29;
  EXPECT_EQ(ScratchBytes(problem.input, {.k = 32, .scan = ScanMode::kF32}, 1), huge) << "too many in all";
}

TEST(ScratchTest, DoesNotGrowWithTheKeysInLongPrefill) {
  const TopKOptions options{.k = 32, .scan = ScanMode::kF32};
  const RandomProblem few(Prefill(300, 5000), 1);
  const RandomProblem many(Prefill(300, 16000), 1);
  EXPECT_EQ(MeasuredBytes(few, options), MeasuredBytes(many, options));
}

TEST(ScratchTest, AnIntegerScanAddsAnIntegerForEachNumberOfTheKeys) {
  // Too few rows for copies of K and V, too many keys for panels.
  const RandomProblem few(Prefill(60, 5000), 1);
  const RandomProblem many(Prefill(60, 16000), 1);
  const auto numbers = static_cast<double>((16000 - 5000) * few.input.n_head_kv * few.input.d_k);
  for (const auto& [scan, bytes] : {std::pair(ScanMode::kInt8, 1.0), std::pair(ScanMode::kInt16, 2.0)}) {
    const TopKOptions options{.k = 32, .scan = scan};
    const auto added = static_cast<double>(MeasuredBytes(many, options) - MeasuredBytes(few, options));
    // Scales, norms and the largest numbers of each task take a little more.
    EXPECT_NEAR(added / numbers, bytes, 0.1);
  }
}

// n_query * n_key scores would be 256 MB here, and K and V, which are copied, have 4 MB.
TEST(ScratchTest, IsFarFromAllScores) {
  const RandomProblem problem(Prefill(1000, 16000), 1);
  const auto copies = static_cast<int64_t>(problem.k.bytes().size() + problem.v.bytes().size());
  EXPECT_LT(MeasuredBytes(problem, {.k = 32}), copies + (int64_t{2} << 20));
}

// Queries cost only what is known of their visibility.
TEST(ScratchTest, GrowsByALittlePerQuery) {
  const TopKOptions options{.k = 32};
  const RandomProblem few(Prefill(200, 2000), 1);
  const RandomProblem many(Prefill(2000, 2000), 1);
  EXPECT_LE(MeasuredBytes(many, options) - MeasuredBytes(few, options), 1800 * 64);
}

TEST(ScratchTest, MemoryOfTheCallerIsUsedAgain) {
  ScratchMemory memory;
  Executor executor = SerialExecutor();
  executor.scratch = &memory;
  const RandomProblem problem(Prefill(300, 5000), 1);
  const TopKOptions options{.k = 32};
  OutputTensor out(problem.input);
  ASSERT_TRUE(Attention(problem.input, options, {out.view()}, executor).ok());
  const std::vector<float> first = out.numbers;
  EXPECT_GE(memory.size(), static_cast<size_t>(ScratchBytes(problem.input, options, 1)));

  std::fill_n(memory.data(), memory.size(), std::byte{0xAB});
  const int64_t before = allocated_bytes;
  ASSERT_TRUE(Attention(problem.input, options, {out.view()}, executor).ok());
  EXPECT_EQ(allocated_bytes, before);
  EXPECT_EQ(out.numbers, first);
}

TEST(ScratchTest, MemoryOfTheCallerDoesNotStayLargeForSmallCalls) {
  ScratchMemory memory;
  ASSERT_TRUE(memory.Reserve(100));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % kCacheLineBytes, 0U);
  ASSERT_TRUE(memory.Reserve(100 << 20));
  ASSERT_TRUE(memory.Reserve(50 << 20));
  EXPECT_EQ(memory.size(), size_t{100} << 20);
  ASSERT_TRUE(memory.Reserve(1 << 20));
  EXPECT_EQ(memory.size(), size_t{1} << 20);
  ASSERT_TRUE(memory.Reserve(100));
  EXPECT_EQ(memory.size(), size_t{1} << 20);
  memory.Release();
  EXPECT_EQ(memory.data(), nullptr);
  EXPECT_EQ(memory.size(), 0U);
}

TEST(ScratchTest, MemoryThatCannotBeHadIsAnErrorAndTheNextCallWorks) {
  ScratchMemory memory;
  Executor executor = SerialExecutor();
  executor.scratch = &memory;
  const RandomProblem problem(Prefill(5, 100), 1);
  OutputTensor out(problem.input);
  allocations_left = 0;
  const Status status = Attention(problem.input, {.k = 7}, {out.view()}, executor);
  allocations_left = kUnlimited;
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(memory.size(), 0U);
  EXPECT_TRUE(Attention(problem.input, {.k = 7}, {out.view()}, executor).ok());
}

TEST(ScratchTest, SizesThatOverflowAreMoreThanAnyMemory) {
  Carver carver(nullptr);
  for (int i = 0; i < 2; ++i) {
    carver.Take<double>(int64_t{1} << 60);  // twice 2^63 bytes
    EXPECT_EQ(carver.used(), Carver::kMostBytes);
  }
  carver.Take<uint8_t>(1);
  EXPECT_EQ(carver.used(), Carver::kMostBytes);
}

TEST(ScratchTest, OfDecodeIsBoundedWhateverTheContext) {
  const TopKOptions options{.k = 32};
  AttentionInput input = RandomProblem(Prefill(1, 10), 1).input;
  input.n_key = 1 << 20;
  const int64_t million = ScratchBytes(input, options, 2);
  input.n_key = 1 << 28;
  EXPECT_EQ(ScratchBytes(input, options, 2), million);
  EXPECT_LT(million, int64_t{4} << 20);
}

// fn(), which returns a Status, with fewer allocations than it needs, whichever fails; then with all.
// expect_untouched() after each failure.
template <class Fn, class Check>
void ExpectOutOfMemoryTouchesNothing(Fn&& fn, Check&& expect_untouched) {
  int64_t failures = 0;
  for (;; ++failures) {
    ASSERT_LT(failures, 100);
    allocations_left = failures;
    const Status status = fn();
    allocations_left = kUnlimited;
    if (status.ok()) break;
    ASSERT_EQ(status.code(), StatusCode::kOutOfMemory) << status.message();
    expect_untouched();
  }
  EXPECT_GE(failures, 1);
}

TEST(ScratchTest, RunningOutOfMemoryIsAnErrorThatTouchesNothing) {
  const RandomProblem problem(Prefill(5, 100), 1);
  OutputTensor out(problem.input);
  for (float min_mass : {0.0F, 0.5F}) {
    for (bool wants_selection : {false, true}) {
      std::fill(out.numbers.begin(), out.numbers.end(), -77.0F);
      const TopKOptions options{.k = 7, .min_mass = min_mass};
      std::unique_ptr<Selection> selection;
      ExpectOutOfMemoryTouchesNothing(
          [&] {
            allocations_left += 1;  // this one
            selection = std::make_unique<Selection>();
            return Attention(problem.input, options, {out.view(), wants_selection ? selection.get() : nullptr},
                             SerialExecutor());
          },
          [&] {
            for (float x : out.numbers) ASSERT_EQ(x, -77.0F);
            EXPECT_TRUE(selection->row_offsets.empty());
          });
    }
  }
}

// A forward pass of a problem, what it selected, and room for the gradients.
struct BackwardProblem {
  explicit BackwardProblem(const Shape& shape, const TopKOptions& how = {.k = 32})
      : problem(shape, 1), options(how), out(problem.input), d_out(problem.input), d_q(problem.input) {
    EXPECT_TRUE(Attention(problem.input, options, {out.view(), &selection}, SerialExecutor()).ok());
    const AttentionInput& in = problem.input;
    const auto numbers = static_cast<size_t>(in.n_key * in.n_head_kv * in.d_k);
    d_k.assign(numbers, -77.0F);
    d_v.assign(numbers, -77.0F);
  }
  AttentionGradients gradients() {
    const int64_t row = 4 * problem.input.d_k;
    const int64_t token = row * problem.input.n_head_kv;
    return {d_q.view(), {d_k.data(), token, row, 0}, {d_v.data(), token, row, 0}};
  }
  Status Run() {
    const OutputView view = d_out.view();
    return AttentionBackward(problem.input, options, selection.View(),
                             {view.data, DataType::kF32, view.token_stride, view.head_stride, view.batch_stride},
                             gradients(), SerialExecutor());
  }

  RandomProblem problem;
  TopKOptions options;
  OutputTensor out, d_out, d_q;
  std::vector<float> d_k, d_v;
  Selection selection;
};

TEST(ScratchTest, OfTheBackwardPassIsWhatItSaysAndFollowsTheEntries) {
  for (int64_t n_query : {0, 1, 2000}) {
    BackwardProblem backward(Prefill(n_query, 2000));
    const int64_t expected =
        BackwardScratchBytes(backward.problem.input, backward.selection.View(), backward.gradients(), 1);
    const int64_t before = allocated_bytes;
    ASSERT_TRUE(backward.Run().ok());
    EXPECT_EQ(allocated_bytes - before, expected);
    // The sums of a key range, and of both KV heads: entries, rows with their range starts, keys and values. Small
    // arrays fill up cache lines.
    const auto entries = static_cast<int64_t>(backward.selection.keys.size());
    const int64_t rows = n_query * backward.problem.input.n_head;
    EXPECT_LE(expected, (int64_t{1} << 18) + 6 * entries + rows * (4 * 32 + 16) + 2 * 2048 * 4 * 32 + 4096);
  }
}

TEST(ScratchTest, RunningOutOfMemoryInTheBackwardPassTouchesNothing) {
  BackwardProblem backward(Prefill(5, 100));
  ExpectOutOfMemoryTouchesNothing([&] { return backward.Run(); },
                                  [&] {
                                    for (float x : backward.d_q.numbers) ASSERT_EQ(x, -77.0F);
                                    for (float x : backward.d_k) ASSERT_EQ(x, -77.0F);
                                    for (float x : backward.d_v) ASSERT_EQ(x, -77.0F);
                                  });
}

}  // namespace
}  // namespace topk
