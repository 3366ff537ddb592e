#include "topk/decode.h"

#include <algorithm>
#include <limits>

#include "topk/finish.h"
#include "topk/gather.h"
#include "topk/load/pack.h"

namespace topk {

namespace {

// Keys a task, at least: each chunk keeps up to k candidates of its own, which the merge must look through.
constexpr int64_t kSmallestChunk = 1024;
// Rows that gather their keys need fewer of them to make a task.
constexpr int64_t kFewestGathered = 256;
// Tasks of a call, about: enough for the cores of a large machine. Does not depend on the number of threads, so
// neither do the results.
constexpr int64_t kTasks = 64;

int64_t ChunksOf(const Call& call) {
  const int64_t n_tiles = std::max<int64_t>(1, call.TileCount());
  return std::max<int64_t>(1, std::min(call.input.n_key / kSmallestChunk, kTasks / n_tiles));
}

}  // namespace

struct Decode::Worker {
  Workspace work;
  TilePart merged;  // one row
  FinishScratch finish;
  Gather gather;
};

bool Decode::Suits(const Call& call) { return call.TilesPerHeadKv() == 1 && ChunksOf(call) > 1; }

Decode::Decode(Carver& carver, const Call& call, int n_workers)
    : call_(call),
      n_chunks_(ChunksOf(call)),
      chunk_keys_((call.input.n_key / n_chunks_ + kBlockKeys) / kBlockKeys * kBlockKeys) {
  const int64_t n_tiles = call.TileCount();
  const int64_t n_rows = call.RowsPerHeadKv();
  const int64_t capacity = Candidates::Capacity(call.LargestBudget(), chunk_keys_);
  floors_ = carver.Take<std::atomic<float>>(n_tiles * n_rows);
  parts_ = carver.Take<TilePart>(n_tiles * n_chunks_);
  for (int64_t p = 0; p < n_tiles * n_chunks_; ++p) {
    const TilePart part = TilePart::Take(carver, call, n_rows, capacity);
    if (parts_ != nullptr) std::construct_at(parts_ + p, part);
  }
  for (int64_t f = 0; floors_ != nullptr && f < n_tiles * n_rows; ++f) {
    std::construct_at(floors_ + f, std::numeric_limits<float>::lowest());
  }
  workers_ = carver.Take<Worker>(n_workers);
  for (int w = 0; w < n_workers; ++w) {
    const Workspace work = Workspace::Take(carver, call);
    const TilePart merged = TilePart::Take(carver, call, 1, n_chunks_ * capacity);
    const FinishScratch finish = FinishScratch::Take(carver, call, n_chunks_ * capacity);
    const Gather gather = Gather::Take(carver);
    if (workers_ != nullptr) std::construct_at(workers_ + w, Worker{work, merged, finish, gather});
  }
}

void Decode::ScanChunk(int64_t index, Worker& worker) const {
  // Heads next to each other share pages of K: they go through a chunk at about the same time.
  const int64_t tile_index = index % call_.TileCount();
  const int64_t chunk = index / call_.TileCount();
  const Tile tile = call_.TileAt(tile_index);
  TilePart& part = parts_[tile_index * n_chunks_ + chunk];
  part.Start(call_, tile, floors_ + tile_index * tile.n_rows, false);
  const auto [begin, end] = part.KeyRange();
  const int64_t first = std::max(begin, chunk * chunk_keys_);
  const int64_t last = std::min(end, (chunk + 1) * chunk_keys_);
  part.Scan(call_, tile.batch, tile.head_kv, first, last, worker.work);
  worker.gather.Scan(call_, tile.batch, tile.head_kv, chunk * chunk_keys_, (chunk + 1) * chunk_keys_, worker.work,
                     part);
}

void Decode::FinishRow(int64_t index, Worker& worker, Statistics& statistics) const {
  const int64_t n_rows = call_.RowsPerHeadKv();
  const Tile tile = call_.TileAt(index / n_rows);
  const int64_t row = index % n_rows;
  const TilePart* parts = parts_ + index / n_rows * n_chunks_;
  const RowState& first = parts[0].rows()[row];
  worker.merged.StartRow(call_, first.id, first.is_dense);
  for (int64_t c = 0; c < n_chunks_; ++c) worker.merged.MergeRow(parts[c], row, PadToLanes(call_.input.d_v));
  FinishPart(call_, tile, worker.merged, worker.work, worker.finish, statistics);
}

// Where all rows gather their keys the chunks, which were laid out for scans, have little to do: fewer and wider ones.
void Decode::WidenChunks() {
  KeyIndex most = 0;
  for (const Visibility& visible : call_.Visibilities()) {
    if (visible.count > 0 && !Call::Gathers(visible)) return;
    most = std::max(most, visible.count);
  }
  // No chunk may leave more candidates than it was laid out for.
  if (Candidates::Capacity(call_.LargestBudget(), most) > Candidates::Capacity(call_.LargestBudget(), chunk_keys_)) {
    return;
  }
  n_chunks_ = std::clamp<int64_t>(most / kFewestGathered, 1, n_chunks_);
  chunk_keys_ = call_.input.n_key / n_chunks_ + 1;
}

void Decode::Run(const Executor& executor, Statistics* statistics) {
  WidenChunks();
  struct State {
    const Decode& decode;
    Statistics* statistics;
  } state{*this, statistics};
  const ParallelTask scan = [](void* opaque, int64_t index, int worker) {
    const Decode& decode = static_cast<State*>(opaque)->decode;
    decode.ScanChunk(index, decode.workers_[worker]);
  };
  const ParallelTask finish = [](void* opaque, int64_t index, int worker) {
    const State& s = *static_cast<State*>(opaque);
    s.decode.FinishRow(index, s.decode.workers_[worker], s.statistics[worker]);
  };
  executor.parallel_for(executor.context, call_.TileCount() * n_chunks_, scan, &state);
  executor.parallel_for(executor.context, call_.TileCount() * call_.RowsPerHeadKv(), finish, &state);
}

}  // namespace topk
