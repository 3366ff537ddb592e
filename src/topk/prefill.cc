#include "topk/prefill.h"

#include "topk/direct/direct.h"
#include "topk/finish.h"
#include "topk/gather.h"
#include "topk/integer_scan.h"
#include "topk/scan_choice.h"
#include "topk/tile.h"

namespace topk {

namespace {

constexpr double kScoredPerKept = 2;  // keys that an integer scan leaves to be scored in f32, about

}  // namespace

struct Prefill::Worker {
  Workspace work;
  WholeRows whole;
  TilePart part;
  FinishScratch finish;
  IntegerScan integers;
  ScanChoice choice;
  Gather gather;
};

Prefill::Prefill(Carver& carver, Call& call, int n_workers) : call_(call), workers_(carver.Take<Worker>(n_workers)) {
  const AttentionInput& in = call.input;
  const bool prefers_panels = call.options.scan == ScanMode::kAuto && KeyPanels::AreFasterThanIntegers(call);
  if (IntegerScan::Suits(call) && !prefers_panels) keys_.emplace(carver, call, n_workers);
  const bool has_few_keys = in.n_key <= WholeRows::kMostKeys;
  needs_no_panels_ = has_few_keys && call.RowsPerHeadKv() <= kMostDirectRows;
  if (has_few_keys && !needs_no_panels_) panels_.emplace(carver, call, n_workers);
  if (keys_ && HeadMajorCopy::Pays(call, in.k, in.d_k, kScoredPerKept)) copied_k_.emplace(carver, call, in.k, in.d_k);
  if ((keys_ || panels_) && HeadMajorCopy::Pays(call, in.v, in.d_v, 1)) copied_v_.emplace(carver, call, in.v, in.d_v);
  const int64_t capacity = Candidates::Capacity(call.LargestBudget(), call.input.n_key);
  for (int w = 0; w < n_workers; ++w) {
    const Workspace work = Workspace::Take(carver, call);
    const WholeRows whole = has_few_keys ? WholeRows::Take(carver, call) : WholeRows();
    const TilePart part = TilePart::Take(carver, call, kTileRows, capacity);
    const FinishScratch finish = FinishScratch::Take(carver, call, capacity);
    const IntegerScan integers = keys_ ? IntegerScan::Take(carver, call) : IntegerScan();
    const ScanChoice choice = keys_ ? ScanChoice::Take(carver, call) : ScanChoice();
    const Gather gather = Gather::Take(carver);
    if (workers_ != nullptr)
      std::construct_at(workers_ + w, Worker{work, whole, part, finish, integers, choice, gather});
  }
}

void Prefill::ScanInF32(const Tile& tile, Worker& worker) const {
  const bool scans_whole_rows = panels_ || needs_no_panels_;
  const auto rows = scans_whole_rows ? worker.part.dense_rows() : worker.part.f32_rows();
  const auto [begin, end] = TilePart::KeyRangeOf(rows);
  worker.part.Scan(call_, tile.batch, tile.head_kv, rows, begin, end, worker.work);
  if (scans_whole_rows) {
    const KeyPanels* panels = panels_ ? &*panels_ : nullptr;
    worker.part.ScanWholeRows(call_, tile.batch, tile.head_kv, panels, worker.work, worker.whole);
  }
}

void Prefill::ComputeTile(int64_t index, Worker& worker, Statistics& statistics) const {
  const Tile tile = call_.TileAt(index);
  for (int64_t r = 0; r < tile.n_rows; ++r) call_.PrefetchQuery(call_.RowOf(tile, r));
  const QuantizedHead* head = keys_ ? &keys_->HeadOf(tile.batch, tile.head_kv) : nullptr;
  const bool is_quantized = head != nullptr && head->width.has_value();
  worker.part.Start(call_, tile, nullptr, is_quantized);
  if (is_quantized && !worker.integers.Run(call_, tile.head_kv, *head, worker.part.int8_rows())) {
    worker.part.ScanAllInF32();
  }
  ScanInF32(tile, worker);
  worker.gather.Scan(call_, tile.batch, tile.head_kv, 0, call_.input.n_key, worker.work, worker.part);
  FinishPart(call_, tile, worker.part, worker.work, worker.finish, statistics);
}

// The transform of a KV head, and which integers its keys are scanned in.
void Prefill::PrepareHead(const QuantizedKeys& keys, int64_t index, int worker) const {
  Worker& mine = workers_[worker];
  const bool chooses = call_.options.scan == ScanMode::kAuto;
  if (chooses && !mine.choice.MayTakeIntegers(call_, index)) return keys.SetWidth(index, std::nullopt);
  keys.FindTransform(index, worker);
  if (chooses) keys.SetWidth(index, mine.choice.Run(call_, keys, index, mine.integers, worker));
}

// Copies of K and V in the layouts that the scans want.
void Prefill::PrepareKeys(const Executor& executor) {
  if (keys_ && !call_.AnySuitsInt8()) keys_.reset();
  if (keys_) {
    struct Heads {
      const Prefill& prefill;
      const QuantizedKeys& keys;
    } heads{*this, *keys_};
    const ParallelTask prepare = [](void* opaque, int64_t index, int worker) {
      const Heads& h = *static_cast<Heads*>(opaque);
      h.prefill.PrepareHead(h.keys, index, worker);
    };
    executor.parallel_for(executor.context, keys_->HeadCount(), prepare, &heads);
  }
  const int64_t n_integer_heads = keys_ ? keys_->WidthCount() : 0;
  const bool integers_do = n_integer_heads == call_.input.n_batch * call_.input.n_head_kv || !call_.AnySuitsInt8();
  if (panels_ && integers_do && !call_.AnyNeedsF32()) panels_.reset();  // dense rows need none
  if (panels_) panels_->Run(executor);
  if (keys_ && n_integer_heads > 0) {
    if (copied_k_) call_.ReadKeysFrom(copied_k_->Run(executor));
    keys_->Run(executor);
  }
  if (copied_v_ && !call_.AllRunDense()) call_.ReadValuesFrom(copied_v_->Run(executor));
}

void Prefill::Run(const Executor& executor, Statistics* statistics) {
  PrepareKeys(executor);
  struct State {
    const Prefill& prefill;
    Statistics* statistics;
    int64_t n_tiles;
  } state{*this, statistics, call_.TileCount()};
  const ParallelTask task = [](void* opaque, int64_t index, int worker) {
    const State& s = *static_cast<State*>(opaque);
    // Later tiles see more keys under a causal mask: the long tasks go first.
    s.prefill.ComputeTile(s.n_tiles - 1 - index, s.prefill.workers_[worker], s.statistics[worker]);
  };
  executor.parallel_for(executor.context, state.n_tiles, task, &state);
}

}  // namespace topk
