// The integers that stand for a panel's numbers: int8 or int16. Everything that depends on their width is here.
#ifndef TOPK_SRC_QUANTIZE_NUMBER_WIDTH_H_
#define TOPK_SRC_QUANTIZE_NUMBER_WIDTH_H_

#include <cstdint>

namespace topk {

enum class NumberWidth : uint8_t { kInt8, kInt16 };

// A group: the integers of dimensions that stand together in a word of 32 bits, as dot product instructions want them.
inline constexpr int64_t kGroupBytes = 4;
inline constexpr int64_t kGroup = 4;  // dimensions in int8

inline constexpr int32_t kByteOffset = 128;  // int8 keys are stored as unsigned bytes

inline constexpr int32_t kLargestInt8 = 127;
// Two products with unsigned bytes fit into 16 bits: 2 * 255 * 64 < 2^15.
inline constexpr int32_t kLargestPairedInt8 = 64;

struct Int8 {
  static constexpr NumberWidth kWidth = NumberWidth::kInt8;
  static constexpr int64_t kPerGroup = kGroup;
  static constexpr int32_t kKeyOffset = kByteOffset;  // stored keys are this much more than what they stand for
};

struct Int16 {
  static constexpr NumberWidth kWidth = NumberWidth::kInt16;
  static constexpr int64_t kPerGroup = kGroup / 2;
  static constexpr int32_t kKeyOffset = 0;
};

constexpr int64_t GroupsOf(int64_t d, NumberWidth width = NumberWidth::kInt8) {
  const int64_t per_group = width == NumberWidth::kInt8 ? Int8::kPerGroup : Int16::kPerGroup;
  return (d + per_group - 1) / per_group;
}

// Bytes of a vector of d integers.
constexpr int64_t QuantizedBytes(int64_t d, NumberWidth width) { return GroupsOf(d, width) * kGroupBytes; }

// fn(Int8()) or fn(Int16()).
template <class Fn>
auto WithNumbers(NumberWidth width, Fn&& fn) {
  return width == NumberWidth::kInt8 ? fn(Int8()) : fn(Int16());
}

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_NUMBER_WIDTH_H_
