#include "topk/parallel.h"

#include <algorithm>

// Tools that read the compile commands of another compiler may not find its header.
#if defined(TOPK_USE_OPENMP) && __has_include(<omp.h>)
#define TOPK_HAS_OPENMP
#include <omp.h>
#endif

namespace topk {

namespace {

void SerialFor(void* /*context*/, int64_t count, ParallelTask task, void* state) {
  for (int64_t index = 0; index < count; ++index) task(state, index, 0);
}

#ifdef TOPK_HAS_OPENMP
// The number of threads travels in the context pointer: an Executor owns nothing.
void OpenMpFor(void* context, int64_t count, ParallelTask task, void* state) {
  const int n_threads = static_cast<int>(std::min<int64_t>(reinterpret_cast<intptr_t>(context), count));
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads) if (n_threads > 1)
  for (int64_t index = 0; index < count; ++index) task(state, index, omp_get_thread_num());
}
#endif

}  // namespace

Executor SerialExecutor() { return {SerialFor, nullptr, 1}; }

Executor OpenMpExecutor(int n_threads) {
#ifdef TOPK_HAS_OPENMP
  n_threads = std::min(n_threads < 1 ? omp_get_max_threads() : n_threads, kMostThreads);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): never dereferenced
  return {OpenMpFor, reinterpret_cast<void*>(static_cast<intptr_t>(n_threads)), n_threads};
#else
  (void)n_threads;
  return SerialExecutor();
#endif
}

}  // namespace topk
