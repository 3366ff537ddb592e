// Threads are the caller's: attention hands out independent tasks through this interface.
#ifndef TOPK_PARALLEL_H_
#define TOPK_PARALLEL_H_

#include <cstdint>

#include "topk/scratch.h"

namespace topk {

// Runs task(state, index, worker) once for every index in [0, count) and returns when all are done. `worker` is in
// [0, n_workers) and no two tasks that run at the same time share it. Any order and any assignment to threads
// is allowed: results do not depend on it. Tasks do not throw. Must not be null.
using ParallelTask = void (*)(void* state, int64_t index, int worker);
using ParallelFor = void (*)(void* context, int64_t count, ParallelTask task, void* state);

struct Executor {
  ParallelFor parallel_for = nullptr;
  void* context = nullptr;
  int n_workers = 1;
  // Where calls take their scratch from, which they leave there: null, or memory of the caller that no other call uses
  // at the same time. Null: each call allocates its own and frees it.
  ScratchMemory* scratch = nullptr;
};

// All tasks on the calling thread.
Executor SerialExecutor();

// OpenMP's runtime ends the process if it is asked for more threads than the system has.
inline constexpr int kMostThreads = 1024;

// OpenMP's thread pool of this process, with n_threads threads (below 1: omp_get_max_threads()), but kMostThreads at
// most. Serial in builds without OpenMP.
Executor OpenMpExecutor(int n_threads);

}  // namespace topk

#endif  // TOPK_PARALLEL_H_
