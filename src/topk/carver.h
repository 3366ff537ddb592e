// Scratch memory: laid out once, allocated once on the calling thread, so that tasks never allocate.
#ifndef TOPK_SRC_CARVER_H_
#define TOPK_SRC_CARVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "topk/scratch.h"
#include "topk/status.h"

namespace topk {

// Hands out aligned arrays from one block. A layout runs twice: over null, to learn the size, then over the block.
class Carver {
 public:
  // More than there is of memory: a layout of this size or more has this one, and no block is found for it.
  static constexpr size_t kMostBytes = size_t{1} << 62;

  explicit Carver(std::byte* base) : base_(base) {}

  template <typename T>
  T* Take(int64_t count) {
    T* array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    const bool fits = static_cast<size_t>(count) <= (kMostBytes - used_) / sizeof(T);
    const size_t end = fits ? used_ + static_cast<size_t>(count) * sizeof(T) : kMostBytes;
    used_ = (end + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
    return array;
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

inline Status OutOfMemory(const char* what, int64_t count) {
  try {
    return {StatusCode::kOutOfMemory, "no memory for " + std::to_string(count) + " " + what};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "out of memory"};  // short enough for std::string to hold without memory
  }
}

}  // namespace topk

#endif  // TOPK_SRC_CARVER_H_
