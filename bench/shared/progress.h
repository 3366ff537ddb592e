// How far a run of many unequal parts is, and how long it may still take.
#ifndef QWEN_INFER_BENCH_SHARED_PROGRESS_H_
#define QWEN_INFER_BENCH_SHARED_PROGRESS_H_

#include <cstdint>
#include <string>

namespace qwen_infer {

// Depth at which a token costs twice what it does without context. From the speed of a model of half a billion
// parameters on two cores; a larger one spends less of its time on attention, so that more of a run is over than it
// seems.
inline constexpr double kFullAttentionDoubling = 6000;
inline constexpr double kTopKDoubling = 24000;

// What it costs to read tokens on top of `depth` others, in a unit of its own: only ratios count.
double ReadingCost(int64_t tokens, int64_t depth, double doubling);

class Progress {
 public:
  explicit Progress(double total_cost) : total_(total_cost) {}

  void Add(double cost) { done_ += cost; }

  // The total turns out to be more by that, or less.
  void Expect(double more) { total_ += more; }

  // "37 %, about 4 min left", where the parts done took `seconds`; "" before any was.
  std::string Text(double seconds) const;

 private:
  double total_;
  double done_ = 0;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_PROGRESS_H_
