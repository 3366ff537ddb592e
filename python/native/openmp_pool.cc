#include "openmp_pool.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace qwen_infer::python {

namespace {

// What a parallel region compiles to in GCC's OpenMP interface, which LLVM's and Intel's runtimes have as well.
struct OpenMpRuntime {
  void (*parallel)(void (*body)(void*), void* argument, unsigned n_threads, unsigned flags);  // GOMP_parallel
  int (*thread_number)();                                                                     // omp_get_thread_num
  int (*max_threads)();                                                                       // omp_get_max_threads
};

std::atomic<const OpenMpRuntime*> shared_runtime = nullptr;

struct Loop {
  const OpenMpRuntime& runtime;
  int64_t count;
  topk::ParallelTask task;
  void* state;
  std::atomic<int64_t> next = 0;
};

void RunTasks(void* argument) {
  Loop& loop = *static_cast<Loop*>(argument);
  const int worker = loop.runtime.thread_number();
  for (int64_t i = loop.next++; i < loop.count; i = loop.next++) loop.task(loop.state, i, worker);
}

// The number of threads travels in the context pointer: an Executor owns nothing.
void SharedFor(void* context, int64_t count, topk::ParallelTask task, void* state) {
  const auto n_threads = std::min<int64_t>(reinterpret_cast<intptr_t>(context), count);
  if (n_threads < 1) return;
  Loop loop{*shared_runtime.load(), count, task, state};
  loop.runtime.parallel(RunTasks, &loop, static_cast<unsigned>(n_threads), 0);
}

}  // namespace

bool ShareOpenMpOf(const char* path) {
  // Looking symbols up through the library searches what it depends on, so this is the runtime that it uses, whatever
  // its name. The handle is kept: what was found must stay loaded.
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  static OpenMpRuntime runtime;
  OpenMpRuntime found{
      .parallel = reinterpret_cast<decltype(found.parallel)>(dlsym(library, "GOMP_parallel")),
      .thread_number = reinterpret_cast<decltype(found.thread_number)>(dlsym(library, "omp_get_thread_num")),
      .max_threads = reinterpret_cast<decltype(found.max_threads)>(dlsym(library, "omp_get_max_threads"))};
  if (found.parallel == nullptr || found.thread_number == nullptr || found.max_threads == nullptr) return false;
  if (shared_runtime.load() != nullptr) return true;  // shared already: torch is loaded once
  runtime = found;
  shared_runtime = &runtime;
  return true;
}

topk::Executor PoolExecutor(int n_threads) {
  const OpenMpRuntime* runtime = shared_runtime.load();
  if (runtime == nullptr) return topk::OpenMpExecutor(n_threads);
  n_threads = std::min(n_threads < 1 ? runtime->max_threads() : n_threads, topk::kMostThreads);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): never dereferenced
  return {SharedFor, reinterpret_cast<void*>(static_cast<intptr_t>(n_threads)), n_threads};
}

}  // namespace qwen_infer::python
