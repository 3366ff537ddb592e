// An array aligned as the kernels ask for.
#ifndef TOPK_SRC_TESTING_ALIGNED_ARRAY_H_
#define TOPK_SRC_TESTING_ALIGNED_ARRAY_H_

#include <algorithm>
#include <cstdint>

#include "topk/carver.h"

namespace topk::testing {

template <typename T>
class AlignedArray {
 public:
  explicit AlignedArray(int64_t size) : size_(size) {
    if (!memory_.Reserve(static_cast<size_t>(size) * sizeof(T))) throw std::bad_alloc();
    std::fill_n(data(), size, T());
  }
  AlignedArray(const AlignedArray& other) : AlignedArray(other.size_) { std::copy_n(other.data(), size_, data()); }
  AlignedArray& operator=(const AlignedArray&) = delete;

  T* data() { return reinterpret_cast<T*>(memory_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(memory_.data()); }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  int64_t size() const { return size_; }

 private:
  ScratchMemory memory_;
  int64_t size_;
};

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_ALIGNED_ARRAY_H_
