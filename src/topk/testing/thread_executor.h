// Tasks on std::thread workers: unlike libgomp's, ThreadSanitizer understands them.
#ifndef TOPK_SRC_TESTING_THREAD_EXECUTOR_H_
#define TOPK_SRC_TESTING_THREAD_EXECUTOR_H_

#include <atomic>
#include <thread>
#include <vector>

#include "topk/parallel.h"

namespace topk::testing {

class ThreadExecutor {
 public:
  explicit ThreadExecutor(int n_threads) : n_threads_(n_threads) {}
  // Valid as long as this object.
  Executor executor() const { return {For, const_cast<int*>(&n_threads_), n_threads_}; }

 private:
  static void For(void* context, int64_t count, ParallelTask task, void* state) {
    std::atomic<int64_t> next = 0;
    std::vector<std::thread> threads;
    for (int worker = 0; worker < *static_cast<const int*>(context); ++worker) {
      threads.emplace_back([&, worker] {
        for (int64_t index = next++; index < count; index = next++) task(state, index, worker);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  int n_threads_;
};

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_THREAD_EXECUTOR_H_
