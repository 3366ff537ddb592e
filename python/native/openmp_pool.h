// The threads that a call runs on. Two OpenMP runtimes in a process have a pool of spinning threads each, which halves
// the speed of both, so a call runs on that of torch once torch is there. Where torch brings the runtime under the
// usual name, the loader shares it anyway; PyPI's wheels of torch rename theirs.
#ifndef QWEN_INFER_PYTHON_OPENMP_POOL_H_
#define QWEN_INFER_PYTHON_OPENMP_POOL_H_

#include "topk/parallel.h"

namespace qwen_infer::python {

// From now on calls run on the OpenMP runtime that the shared library at `path` uses; it must be loaded already. False,
// and no change, if it is not loaded or uses none that can be shared. May be called at any time.
bool ShareOpenMpOf(const char* path);

// n_threads threads of the shared runtime, else of this module's own, but topk::kMostThreads at most; below 1: as many
// as it would take itself.
topk::Executor PoolExecutor(int n_threads);

}  // namespace qwen_infer::python

#endif  // QWEN_INFER_PYTHON_OPENMP_POOL_H_
