// The entry: check, find what each query sees, lay out the scratch, run the driver that suits, gather the results.
#include "topk/attention.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <string>

#include "topk/arena.h"
#include "topk/call.h"
#include "topk/decode.h"
#include "topk/prefill.h"
#include "topk/validate.h"

namespace topk {

namespace {

Status OutOfMemory(const char* what, int64_t count) {
  try {
    return {StatusCode::kOutOfMemory, "no memory for " + std::to_string(count) + " " + what};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "out of memory"};  // short enough for std::string to hold without memory
  }
}

// Everything that a call allocates, in one block: laid out over null to learn its size, then over the memory.
template <class Driver>
struct Scratch {
  Scratch(std::byte* base, const Call& call, int n_workers)
      : carver(base),
        visibilities(carver.Take<Visibility>(call.VisibilityCount())),
        statistics(carver.Take<Statistics>(n_workers)),
        driver(carver, call, n_workers) {
    if (base == nullptr) return;
    std::uninitialized_value_construct_n(visibilities, call.VisibilityCount());
    std::uninitialized_value_construct_n(statistics, n_workers);
  }

  Carver carver;
  Visibility* visibilities;
  Statistics* statistics;
  Driver driver;
};

void FindVisibilities(Call& call, const Executor& executor) {
  const ParallelTask task = [](void* opaque, int64_t index, int /*worker*/) {
    static_cast<Call*>(opaque)->FindVisibilityAt(index);
  };
  executor.parallel_for(executor.context, call.VisibilityCount(), task, &call);
}

// Options.fallback is off: some query must see more than k keys.
Status CheckBudget(const Call& call, const Visibility* visibilities) {
  if (call.options.fallback) return {};
  KeyIndex most = 0;
  for (int64_t i = 0; i < call.VisibilityCount(); ++i) most = std::max(most, visibilities[i].count);
  if (call.options.k < most) return {};
  return {StatusCode::kBudgetCoversAllKeys, "k=" + std::to_string(call.options.k) +
                                                " covers all keys: no query sees more than " + std::to_string(most) +
                                                ", so this would be full attention; lower k or allow the fallback"};
}

template <class Driver>
Status Run(Call& call, const Executor& executor, Statistics& total) {
  const size_t bytes = Scratch<Driver>(nullptr, call, executor.n_workers).carver.used();
  Arena arena;
  if (!arena.Allocate(bytes)) return OutOfMemory("bytes of scratch", static_cast<int64_t>(bytes));
  Scratch<Driver> scratch(arena.base(), call, executor.n_workers);
  call.SetVisibilities({scratch.visibilities, static_cast<size_t>(call.VisibilityCount())});
  FindVisibilities(call, executor);
  if (Status status = CheckBudget(call, scratch.visibilities); !status.ok()) return status;
  scratch.driver.Run(executor, scratch.statistics);
  for (int w = 0; w < executor.n_workers; ++w) total.Add(scratch.statistics[w]);
  return {};
}

// The selection's own vectors are the staging: rows of a fixed stride, closed up at the end.
Status StageSelection(Call& call, Selection& selection) {
  const int64_t rows = call.input.n_batch * call.input.n_query * call.input.n_head;
  const int64_t stride = std::max<int64_t>(1, call.MaxSelected());
  if (rows > std::numeric_limits<int64_t>::max() / 8 / stride) return OutOfMemory("rows of selection", rows);
  try {
    selection.row_offsets.assign(static_cast<size_t>(rows) + 1, 0);
    selection.keys.resize(static_cast<size_t>(rows * stride));
    selection.weights.resize(static_cast<size_t>(rows * stride));
  } catch (const std::exception&) {  // bad_alloc or length_error
    selection = {};
    return OutOfMemory("rows of selection", rows);
  }
  call.staging = {.keys = selection.keys.data(),
                  .weights = selection.weights.data(),
                  .counts = selection.row_offsets.data() + 1,
                  .stride = stride};
  return {};
}

void CloseUpSelection(const Call& call, Selection& selection) {
  const auto rows = static_cast<int64_t>(selection.row_offsets.size()) - 1;
  int64_t end = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t count = selection.row_offsets[r + 1];
    std::copy_n(selection.keys.begin() + r * call.staging.stride, count, selection.keys.begin() + end);
    std::copy_n(selection.weights.begin() + r * call.staging.stride, count, selection.weights.begin() + end);
    selection.row_offsets[r + 1] = end += count;
  }
  selection.keys.resize(end);
  selection.weights.resize(end);
}

}  // namespace

void Statistics::Add(const Statistics& other) {
  rows += other.rows;
  dense_rows += other.dense_rows;
  keys_seen += other.keys_seen;
  keys_kept += other.keys_kept;
  mass_rows += other.mass_rows;
  mass_sum += other.mass_sum;
  mass_min = std::min(mass_min, other.mass_min);
  seconds += other.seconds;
}

Status Attention(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output,
                 const Executor& executor) {
  const auto start = std::chrono::steady_clock::now();
  if (Status status = Validate(input, options, output); !status.ok()) return status;
  if (executor.parallel_for == nullptr || executor.n_workers < 1) {
    return InvalidArgument("the executor has no parallel_for, or n_workers=" + std::to_string(executor.n_workers) +
                           " is below 1");
  }
  Call call(input, options, output);
  if (output.selection != nullptr) {
    if (Status status = StageSelection(call, *output.selection); !status.ok()) return status;
  }
  Statistics total;
  if (call.TileCount() > 0) {
    const Status status =
        Decode::Suits(call) ? Run<Decode>(call, executor, total) : Run<Prefill>(call, executor, total);
    if (!status.ok()) {
      if (output.selection != nullptr) *output.selection = {};
      return status;
    }
  }
  if (output.selection != nullptr) CloseUpSelection(call, *output.selection);
  if (output.statistics != nullptr) {
    total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    *output.statistics = total;
  }
  return {};
}

int64_t ScratchBytes(const AttentionInput& input, const TopKOptions& options, int n_workers) {
  const AttentionOutput none;
  const Call call(input, options, none);
  if (call.TileCount() == 0) return 0;
  const size_t bytes = Decode::Suits(call) ? Scratch<Decode>(nullptr, call, n_workers).carver.used()
                                           : Scratch<Prefill>(nullptr, call, n_workers).carver.used();
  return static_cast<int64_t>(bytes);
}

}  // namespace topk
