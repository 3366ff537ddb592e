#include "topk/prefill.h"

#include "topk/finish.h"
#include "topk/gather.h"
#include "topk/int8_scan.h"
#include "topk/tile.h"

namespace topk {

struct Prefill::Worker {
  Workspace work;
  TilePart part;
  FinishScratch finish;
  Int8Scan int8;
  Gather gather;
};

Prefill::Prefill(Carver& carver, const Call& call, int n_workers)
    : call_(call), workers_(carver.Take<Worker>(n_workers)) {
  if (Int8Scan::Suits(call)) keys_.emplace(carver, call, n_workers);
  const int64_t capacity = Candidates::Capacity(call.LargestBudget(), call.input.n_key);
  for (int w = 0; w < n_workers; ++w) {
    const Workspace work = Workspace::Take(carver, call);
    const TilePart part = TilePart::Take(carver, call, kTileRows, capacity);
    const FinishScratch finish = FinishScratch::Take(carver, call, capacity);
    const Int8Scan int8 = keys_ ? Int8Scan::Take(carver, call) : Int8Scan();
    const Gather gather = Gather::Take(carver);
    if (workers_ != nullptr) std::construct_at(workers_ + w, Worker{work, part, finish, int8, gather});
  }
}

void Prefill::ComputeTile(int64_t index, Worker& worker, Statistics& statistics) const {
  const Tile tile = call_.TileAt(index);
  worker.part.Start(call_, tile, nullptr, keys_.has_value());
  if (keys_ &&
      !worker.int8.Run(call_, tile.head_kv, keys_->HeadOf(tile.batch, tile.head_kv), worker.part.int8_rows())) {
    worker.part.ScanAllInF32();
  }
  const auto [begin, end] = worker.part.KeyRange();
  worker.part.Scan(call_, tile.batch, tile.head_kv, worker.part.f32_rows(), begin, end, worker.work);
  worker.gather.Scan(call_, tile.batch, tile.head_kv, 0, call_.input.n_key, worker.work, worker.part);
  FinishPart(call_, tile, worker.part, worker.work, worker.finish, statistics);
}

void Prefill::Run(const Executor& executor, Statistics* statistics) {
  if (keys_ && !call_.AnySuitsInt8()) keys_.reset();
  if (keys_) keys_->Run(executor);
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
