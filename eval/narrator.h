// Says how far a long run is: when a part of it begins, and now and then while it lasts.
#ifndef QWEN_INFER_EVAL_NARRATOR_H_
#define QWEN_INFER_EVAL_NARRATOR_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "shared/progress.h"
#include "shared/stopwatch.h"

namespace qwen_infer::eval {

class Narrator {
 public:
  // cost: of all parts, in the unit of ReadingCost.
  Narrator(const std::function<void(std::string_view)>& say, double cost) : say_(say), progress_(cost) {}

  // part: "window 1 of 8".
  void Begin(std::string part);

  // The parts cost more by that than it was told, or less.
  void Expect(double more) { progress_.Expect(more); }

  // That much of it is done; tokens: that were read of it so far.
  void Add(double cost, int64_t tokens);

 private:
  void Say(const std::string& where);

  const std::function<void(std::string_view)>& say_;
  Progress progress_;
  Stopwatch watch_;
  std::string part_;
  double said_ = 0;  // when, in seconds
};

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_NARRATOR_H_
