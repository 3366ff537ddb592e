// What Attention allocates: measured by replacing the global allocation functions of this test program.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

#include "topk/attention.h"
#include "topk/testing/random_input.h"

namespace {

std::atomic<int64_t> allocated_bytes = 0;
std::atomic<bool> fails = false;

void* Allocate(size_t bytes, size_t alignment) {
  if (fails) return nullptr;
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

TEST(ScratchTest, DoesNotGrowWithTheKeysInPrefill) {
  const TopKOptions options{.k = 32, .scan = ScanMode::kF32};
  const RandomProblem few(Prefill(300, 2000), 1);
  const RandomProblem many(Prefill(300, 16000), 1);
  EXPECT_EQ(MeasuredBytes(few, options), MeasuredBytes(many, options));
}

TEST(ScratchTest, AnIntegerScanAddsAnIntegerForEachNumberOfTheKeys) {
  const RandomProblem few(Prefill(300, 2000), 1);
  const RandomProblem many(Prefill(300, 16000), 1);
  const auto numbers = static_cast<double>((16000 - 2000) * few.input.n_head_kv * few.input.d_k);
  for (const auto& [scan, bytes] : {std::pair(ScanMode::kInt8, 1.0), std::pair(ScanMode::kInt16, 2.0)}) {
    const TopKOptions options{.k = 32, .scan = scan};
    const auto added = static_cast<double>(MeasuredBytes(many, options) - MeasuredBytes(few, options));
    // Scales, norms and the largest numbers of each task take a little more.
    EXPECT_NEAR(added / numbers, bytes, 0.1);
  }
}

// n_query * n_key scores would be 64 MB here.
TEST(ScratchTest, IsFarFromAllScores) {
  const RandomProblem problem(Prefill(1000, 16000), 1);
  EXPECT_LT(MeasuredBytes(problem, {.k = 32}), int64_t{2} << 20);
}

// Queries cost only what is known of their visibility.
TEST(ScratchTest, GrowsByALittlePerQuery) {
  const TopKOptions options{.k = 32};
  const RandomProblem few(Prefill(200, 2000), 1);
  const RandomProblem many(Prefill(2000, 2000), 1);
  EXPECT_LE(MeasuredBytes(many, options) - MeasuredBytes(few, options), 1800 * 64);
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

TEST(ScratchTest, RunningOutOfMemoryIsAnErrorThatTouchesNothing) {
  const RandomProblem problem(Prefill(5, 100), 1);
  OutputTensor out(problem.input);
  Selection selection;
  for (Selection* wanted : {static_cast<Selection*>(nullptr), &selection}) {
    const AttentionOutput output{out.view(), wanted, nullptr};
    fails = true;
    const StatusCode code = Attention(problem.input, {}, output, SerialExecutor()).code();
    fails = false;
    EXPECT_EQ(code, StatusCode::kOutOfMemory);
    for (float x : out.numbers) ASSERT_EQ(x, -77.0F);
  }
}

}  // namespace
}  // namespace topk
