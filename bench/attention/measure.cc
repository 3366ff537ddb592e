#include "attention/measure.h"

#include "shared/interrupted.h"
#include "shared/stopwatch.h"

namespace qwen_infer::attention_bench {

double SecondsPerCall(double least_seconds, const std::atomic<bool>& stop, const std::function<void()>& run) {
  const Stopwatch stopwatch;
  int64_t calls = 0;
  do {
    if (stop) throw Interrupted();
    run();
    ++calls;
  } while (stopwatch.Seconds() < least_seconds);
  return stopwatch.Seconds() / static_cast<double>(calls);
}

Times Measure(const Contest& contest, const std::vector<YardstickRun>& yardsticks, const Options& options,
              const std::atomic<bool>& stop) {
  const size_t n_copies = contest.problem().caches.size();
  size_t copy = 0;  // goes on from one method to the next, which so finds a cache that was not used for long
  const auto seconds_per_call = [&](const std::function<void(size_t)>& run) {
    return SecondsPerCall(options.seconds, stop, [&] {
      run(copy);
      copy = (copy + 1) % n_copies;
    });
  };
  Times times;
  for (int round = 0; round < options.repeat; ++round) {
    for (const Contestant& contestant : contest.contestants()) {
      times.call[IndexOf(contestant.method)].push_back(seconds_per_call(contestant.run));
    }
    for (const YardstickRun& yardstick : yardsticks) {
      times.unit[IndexOf(yardstick.yardstick)].push_back(seconds_per_call(yardstick.run) / yardstick.units);
    }
  }
  return times;
}

}  // namespace qwen_infer::attention_bench
