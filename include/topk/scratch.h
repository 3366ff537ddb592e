// Scratch memory that outlives a call. New memory costs a fault for each page, which takes prefill of a long context by
// a tenth to a half of its time; callers that compute again and again keep it.
#ifndef TOPK_SCRATCH_H_
#define TOPK_SCRATCH_H_

#include <cstddef>
#include <memory>
#include <new>

namespace topk {

inline constexpr size_t kCacheLineBytes = 64;

// `bytes` of memory, uninitialised, aligned to cache lines; from 4 MiB on in huge pages where the system gives them.
// Null if there is not enough. FreeBlock takes the same number.
void* AllocateBlock(size_t bytes);
void FreeBlock(void* block, size_t bytes);

// One block of cache-line-aligned memory, uninitialised, in huge pages where the system gives them. It holds no more
// than kMostSlack times what was asked for last, or kSmallBytes. For one call at a time.
class ScratchMemory {
 public:
  static constexpr size_t kMostSlack = 8;
  static constexpr size_t kSmallBytes = size_t{4} << 20;

  // Makes room for `bytes`; what the block held is lost. False if there is not enough memory: then it holds nothing.
  bool Reserve(size_t bytes);
  void Release();

  std::byte* data() const { return block_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    size_t bytes;
    void operator()(std::byte* block) const { FreeBlock(block, bytes); }
  };
  std::unique_ptr<std::byte, Free> block_{nullptr, Free{0}};
  size_t size_ = 0;
};

}  // namespace topk

#endif  // TOPK_SCRATCH_H_
