// Scratch memory: laid out once, allocated once on the calling thread, so that tasks never allocate.
#ifndef TOPK_SRC_ARENA_H_
#define TOPK_SRC_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "topk/status.h"

namespace topk {

inline constexpr size_t kCacheLineBytes = 64;
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// Hands out aligned arrays from one block. A layout runs twice: over null, to learn the size, then over the block.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}

  template <typename T>
  T* Take(int64_t count) {
    T* array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    used_ += (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
    return array;
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

// One block of cache-line-aligned memory, uninitialised. Large blocks are asked for in huge pages: a block is new
// memory in every call, and faults of small pages, and the misses of their addresses, cost prefill some per cent.
class Arena {
 public:
  // False if there is not enough memory.
  bool Allocate(size_t bytes) {
    const size_t alignment = bytes < 2 * kHugePageBytes ? kCacheLineBytes : kHugePageBytes;
    void* block = ::operator new(bytes == 0 ? 1 : bytes, std::align_val_t{alignment}, std::nothrow);
    block_ = std::unique_ptr<std::byte, Free>(static_cast<std::byte*>(block), Free{alignment});
#ifdef MADV_HUGEPAGE
    // Only advice: refused, the block has small pages.
    if (block != nullptr && alignment == kHugePageBytes) {
      madvise(block, bytes / kHugePageBytes * kHugePageBytes, MADV_HUGEPAGE);
    }
#endif
    return block_ != nullptr;
  }
  std::byte* base() const { return block_.get(); }

 private:
  struct Free {
    size_t alignment;
    void operator()(std::byte* block) const { ::operator delete(block, std::align_val_t{alignment}); }
  };
  std::unique_ptr<std::byte, Free> block_{nullptr, Free{kCacheLineBytes}};
};

inline Status OutOfMemory(const char* what, int64_t count) {
  try {
    return {StatusCode::kOutOfMemory, "no memory for " + std::to_string(count) + " " + what};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "out of memory"};  // short enough for std::string to hold without memory
  }
}

}  // namespace topk

#endif  // TOPK_SRC_ARENA_H_
