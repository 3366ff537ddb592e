// What the machine can do at best, measured beside the methods: reading K, and multiply-adds from the nearest cache.
#ifndef QWEN_INFER_BENCH_ATTENTION_YARDSTICK_H_
#define QWEN_INFER_BENCH_ATTENTION_YARDSTICK_H_

#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "attention/problem.h"
#include "topk/parallel.h"

namespace qwen_infer::attention_bench {

enum class Yardstick {
  kRead,          // unit: a byte of K, read and nothing else
  kF32Products,   // unit: a multiply-add of the f32 scan's kernel on a tile that stays in cache
  kInt8Products,  // the same of the int8 scan's
  kInt16Products  // and of the int16 scan's
};
inline constexpr size_t kYardstickCount = 4;
inline constexpr std::array<Yardstick, kYardstickCount> kYardsticks = {
    Yardstick::kRead, Yardstick::kF32Products, Yardstick::kInt8Products, Yardstick::kInt16Products};
constexpr size_t IndexOf(Yardstick yardstick) { return static_cast<size_t>(yardstick); }
// "f32_products": in JSON.
std::string_view NameOf(Yardstick yardstick);

// The work that a method of ours can't go without, in units of a yardstick: dense attention reads V as well and
// multiplies twice; top-k needs k rows of V, which count for nothing here.
struct LeastWork {
  Yardstick yardstick;
  double units;
};
LeastWork LeastWorkOf(const Case& the_case, Method method);

struct YardstickRun {
  Yardstick yardstick;
  std::function<void(size_t copy)> run;
  double units;  // of a run
};

// The yardsticks that the case's methods are held against.
std::vector<YardstickRun> YardsticksFor(const Problem& problem, const topk::Executor& executor);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_YARDSTICK_H_
