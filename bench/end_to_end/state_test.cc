#include "end_to_end/state.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ggml.h"

namespace qwen_infer::end_to_end_bench {
namespace {

template <typename T>
void Append(State& state, T value) {
  const size_t begin = state.size();
  state.resize(begin + sizeof(T));
  std::memcpy(state.data() + begin, &value, sizeof(T));
}

constexpr uint32_t kCells = 3;
constexpr uint32_t kLayers = 2;

// Everything before V.
State Head(uint32_t transposed) {
  State state;
  Append<uint32_t>(state, 0xABCD);
  Append<int32_t>(state, 0);
  Append<uint32_t>(state, 1);
  Append<uint32_t>(state, kCells);
  for (uint32_t cell = 0; cell < kCells; ++cell) {
    Append<int32_t>(state, static_cast<int32_t>(cell));
    Append<uint32_t>(state, 1);
    Append<int32_t>(state, 0);
  }
  Append<uint32_t>(state, transposed);
  Append<uint32_t>(state, kLayers);
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    Append<int32_t>(state, GGML_TYPE_Q8_0);
    Append<uint64_t>(state, 34);
    for (uint32_t i = 0; i < kCells * 34; ++i) Append<uint8_t>(state, static_cast<uint8_t>(i));
  }
  return state;
}

State ByRows(ggml_type type) {
  State state = Head(0);
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    Append<int32_t>(state, type);
    Append<uint64_t>(state, 4);
    for (const uint16_t value : {11, 12, 21, 22, 31, 32}) Append<uint16_t>(state, value + 100 * layer);
  }
  return state;
}

TEST(StateTest, ValuesByRowsBecomeValuesByColumns) {
  State expected = Head(1);
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    Append<int32_t>(expected, GGML_TYPE_F16);
    Append<uint32_t>(expected, 2);
    Append<uint32_t>(expected, 2);
    for (const uint16_t value : {11, 21, 31, 12, 22, 32}) Append<uint16_t>(expected, value + 100 * layer);
  }
  EXPECT_EQ(TransposeValues(ByRows(GGML_TYPE_F16)), expected);
}

TEST(StateTest, BlocksAreNotTakenApart) { EXPECT_FALSE(TransposeValues(ByRows(GGML_TYPE_Q8_0))); }

TEST(StateTest, EveryOtherLengthIsRefused) {
  State state = ByRows(GGML_TYPE_F16);
  for (size_t size = 0; size < state.size(); ++size) {
    EXPECT_FALSE(TransposeValues(std::span(state).first(size))) << size << " bytes";
  }
  state.push_back(0);
  EXPECT_FALSE(TransposeValues(state));
}

TEST(StateTest, OtherLayoutsAreRefused) {
  State transposed = ByRows(GGML_TYPE_F16);
  const size_t layout = Head(0).size() - kLayers * (12 + kCells * 34) - 8;
  transposed[layout] = 1;
  EXPECT_FALSE(TransposeValues(transposed));

  State huge_row = ByRows(GGML_TYPE_F16);
  std::memset(huge_row.data() + layout + 12, 0xFF, sizeof(uint64_t));
  EXPECT_FALSE(TransposeValues(huge_row));
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
