// Which keys a call kept, as compressed sparse rows (CSR).
#ifndef TOPK_SELECTION_H_
#define TOPK_SELECTION_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "topk/scratch.h"

namespace topk {

using KeyIndex = int32_t;

// Leaves numbers as the memory had them: a selection is written once, by the threads that compute it. Large arrays have
// huge pages where the system gives them: new memory costs a fault for each page.
template <typename T>
class UninitializedAllocator : public std::allocator<T> {
 public:
  template <typename U>
  struct rebind {
    using other = UninitializedAllocator<U>;
  };
  T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
    void* block = AllocateBlock(count * sizeof(T));
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T*>(block);
  }
  void deallocate(T* block, size_t count) { FreeBlock(block, count * sizeof(T)); }

  template <typename U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Args>
  void construct(U* at, Args&&... args) {
    ::new (static_cast<void*>(at)) U(std::forward<Args>(args)...);
  }
};

template <typename T>
using UninitializedVector = std::vector<T, UninitializedAllocator<T>>;

// CSR in the order [batch, query, head] that others own: row r has entries [row_offsets[r], row_offsets[r + 1]) of keys
// and weights, its keys ascending.
struct SelectionView {
  std::span<const int64_t> row_offsets;  // rows + 1, the first 0
  std::span<const KeyIndex> keys;
  std::span<const float> weights;
};

// The same, owned. A row's weights are its softmax over the selection, which sums to 1 (less with sink_logits), or its
// ReLUs; those before dropout. Sizes are O(rows * (k + sinks + window)). One that is used again keeps its memory.
struct Selection {
  std::vector<int64_t> row_offsets;
  UninitializedVector<KeyIndex> keys;
  UninitializedVector<float> weights;

  SelectionView View() const { return {row_offsets, keys, weights}; }
};

}  // namespace topk

#endif  // TOPK_SELECTION_H_
