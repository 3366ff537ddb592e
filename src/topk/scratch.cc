#include "topk/scratch.h"

#include <algorithm>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace topk {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

// Only advice: where it is refused, the block has small pages.
void AdviseHugePages([[maybe_unused]] void* block, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(block, bytes / kHugePageBytes * kHugePageBytes, MADV_HUGEPAGE);
#endif
}

size_t AlignmentOf(size_t bytes) { return bytes < 2 * kHugePageBytes ? kCacheLineBytes : kHugePageBytes; }

}  // namespace

void* AllocateBlock(size_t bytes) {
  const size_t alignment = AlignmentOf(bytes);
  void* block = ::operator new(bytes, std::align_val_t{alignment}, std::nothrow);
  if (block != nullptr && alignment == kHugePageBytes) AdviseHugePages(block, bytes);
  return block;
}

void FreeBlock(void* block, size_t bytes) { ::operator delete(block, std::align_val_t{AlignmentOf(bytes)}); }

bool ScratchMemory::Reserve(size_t bytes) {
  bytes = std::max<size_t>(bytes, 1);
  if (bytes <= size_ && size_ <= std::max(kSmallBytes, bytes * kMostSlack)) return true;
  Release();  // first, so that the old block and the new one are never there together
  auto* block = static_cast<std::byte*>(AllocateBlock(bytes));
  if (block == nullptr) return false;
  block_ = std::unique_ptr<std::byte, Free>(block, Free{bytes});
  size_ = bytes;
  return true;
}

void ScratchMemory::Release() {
  block_.reset();
  size_ = 0;
}

}  // namespace topk
