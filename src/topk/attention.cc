// The entry: check, find what each query sees, lay out the scratch, run the driver that suits, gather the results.
#include "topk/attention.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/decode.h"
#include "topk/prefill.h"
#include "topk/validate.h"

namespace topk {

namespace {

// Everything that a call allocates, in one block: laid out over null to learn its size, then over the memory.
template <class Driver>
struct Scratch {
  Scratch(std::byte* base, Call& call, int n_workers)
      : carver(base),
        visibilities(carver.Take<Visibility>(call.VisibilityCount())),
        listed(carver.Take<KeyIndex>(call.ListedKeys())),
        statistics(carver.Take<Statistics>(n_workers)),
        driver(carver, call, n_workers) {
    if (base == nullptr) return;
    std::uninitialized_value_construct_n(visibilities, call.VisibilityCount());
    std::uninitialized_value_construct_n(statistics, n_workers);
  }

  Carver carver;
  Visibility* visibilities;
  KeyIndex* listed;  // by the call's visibilities
  Statistics* statistics;
  Driver driver;
};

void FindVisibilities(Call& call, const Executor& executor) {
  const ParallelTask task = [](void* opaque, int64_t index, int /*worker*/) {
    static_cast<Call*>(opaque)->FindVisibilityAt(index);
  };
  executor.parallel_for(executor.context, call.VisibilityCount(), task, &call);
}

// Options.fallback is off: some query must see more keys than its budget.
Status CheckBudget(const Call& call, const Visibility* visibilities) {
  if (call.options.fallback) return {};
  KeyIndex most = 0;
  for (int64_t i = 0; i < call.VisibilityCount(); ++i) {
    if (visibilities[i].count > call.BudgetOf(visibilities[i])) return {};
    most = std::max(most, visibilities[i].count);
  }
  return {StatusCode::kBudgetCoversAllKeys, "k=" + BudgetInWords(call.options.k, most) +
                                                " covers all keys: no query sees more than " + std::to_string(most) +
                                                ", so this would be full attention; lower k or allow the fallback"};
}

// Lays out the selection before anything is computed: how many keys a row keeps follows from what it sees. Only a mass
// target lets rows keep fewer than the largest budget; their counts go to `counts`.
Status LayOutSelection(Call& call, std::vector<int64_t>& counts) {
  Selection& selection = *call.output.selection;
  const int64_t rows = call.RowCount();
  try {
    selection.row_offsets.resize(static_cast<size_t>(rows) + 1);
    if (call.options.min_mass > 0) counts.resize(static_cast<size_t>(rows));
    int64_t end = 0;
    selection.row_offsets[0] = 0;
    for (int64_t r = 0; r < rows; ++r) {
      end += call.MostSelected(call.VisibilityOf(call.RowAt(r)));
      selection.row_offsets[static_cast<size_t>(r) + 1] = end;
    }
    selection.keys.resize(static_cast<size_t>(end));
    selection.weights.resize(static_cast<size_t>(end));
  } catch (const std::exception&) {  // bad_alloc or length_error
    return OutOfMemory("rows of selection", rows);
  }
  call.staging = {.keys = selection.keys.data(),
                  .weights = selection.weights.data(),
                  .offsets = selection.row_offsets.data(),
                  .counts = counts.empty() ? nullptr : counts.data()};
  return {};
}

// Closes the gaps that rows with fewer keys left.
void CloseUpSelection(std::span<const int64_t> counts, Selection& selection) {
  int64_t end = 0;
  for (size_t r = 0; r < counts.size(); ++r) {
    const int64_t begin = selection.row_offsets[r];
    std::copy_n(selection.keys.begin() + begin, counts[r], selection.keys.begin() + end);
    std::copy_n(selection.weights.begin() + begin, counts[r], selection.weights.begin() + end);
    selection.row_offsets[r] = end;
    end += counts[r];
  }
  selection.row_offsets.back() = end;
  selection.keys.resize(static_cast<size_t>(end));
  selection.weights.resize(static_cast<size_t>(end));
}

template <class Driver>
Status Run(Call& call, const Executor& executor, Statistics& total) {
  const size_t bytes = Scratch<Driver>(nullptr, call, executor.n_workers).carver.used();
  ScratchMemory own;
  ScratchMemory& memory = executor.scratch != nullptr ? *executor.scratch : own;
  if (!memory.Reserve(bytes)) return OutOfMemory("bytes of scratch", static_cast<int64_t>(bytes));
  Scratch<Driver> scratch(memory.data(), call, executor.n_workers);
  call.SetVisibilities({scratch.visibilities, static_cast<size_t>(call.VisibilityCount())}, scratch.listed);
  FindVisibilities(call, executor);
  if (Status status = CheckBudget(call, scratch.visibilities); !status.ok()) return status;
  std::vector<int64_t> counts;
  if (call.IsSelectionWanted()) {
    if (Status status = LayOutSelection(call, counts); !status.ok()) return status;
  }
  scratch.driver.Run(executor, scratch.statistics);
  if (!counts.empty()) CloseUpSelection(counts, *call.output.selection);
  for (int w = 0; w < executor.n_workers; ++w) total.Add(scratch.statistics[w]);
  return {};
}

}  // namespace

void Statistics::Add(const Statistics& other) {
  rows += other.rows;
  dense_rows += other.dense_rows;
  keys_seen += other.keys_seen;
  keys_kept += other.keys_kept;
  keys_scored += other.keys_scored;
  mass_rows += other.mass_rows;
  mass_sum += other.mass_sum;
  mass_min = std::min(mass_min, other.mass_min);
  seconds += other.seconds;
}

Status Attention(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output,
                 const Executor& executor) {
  const auto start = std::chrono::steady_clock::now();
  if (Status status = Validate(input, options, output); !status.ok()) return status;
  if (Status status = ValidateExecutor(executor); !status.ok()) return status;
  Call call(input, options, output);
  Statistics total;
  if (call.TileCount() > 0) {
    const Status status =
        Decode::Suits(call) ? Run<Decode>(call, executor, total) : Run<Prefill>(call, executor, total);
    if (!status.ok()) {
      if (output.selection != nullptr) *output.selection = {};
      return status;
    }
  } else if (output.selection != nullptr) {
    std::vector<int64_t> no_counts;
    if (Status status = LayOutSelection(call, no_counts); !status.ok()) return status;
  }
  if (output.statistics != nullptr) {
    total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    *output.statistics = total;
  }
  return {};
}

int64_t ScratchBytes(const AttentionInput& input, const TopKOptions& options, int n_workers) {
  const AttentionOutput none;
  Call call(input, options, none);
  if (call.TileCount() == 0) return 0;
  const size_t bytes = Decode::Suits(call) ? Scratch<Decode>(nullptr, call, n_workers).carver.used()
                                           : Scratch<Prefill>(nullptr, call, n_workers).carver.used();
  return static_cast<int64_t>(bytes);
}

}  // namespace topk
