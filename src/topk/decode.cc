#include "topk/decode.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "topk/amx.h"
#include "topk/bf16x3/bf16x3.h"
#include "topk/direct/direct.h"
#include "topk/finish.h"
#include "topk/gather.h"
#include "topk/key_sample.h"
#include "topk/load/pack.h"

namespace topk {

namespace {

// Keys a task, at least: each chunk keeps up to k candidates of its own, which the merge must look through.
constexpr int64_t kSmallestChunk = 1024;
// From eight of these on chunks get longer, up to this: the first segment of a chunk is not fetched ahead.
constexpr int64_t kFewestChunks = 8;
constexpr int64_t kLongestChunk = 4096;
// Tasks of a call, about: enough for the cores of a large machine. Does not depend on the number of threads, so
// neither do the results.
constexpr int64_t kTasks = 64;
constexpr int kLeastTasksPerWorker = 2;

// Keys of one head are strided, which neither hardware prefetchers nor pages like: a task goes from head to head after
// this many bytes of K, so that it reads memory almost in order. The bytes that it fetches ahead fit beside them into
// the L2 cache.
constexpr int64_t kSegmentBytes = 256 * 1024;
constexpr int64_t kLeastSegmentsPerChunk = 4;

int64_t ChunksOf(const Call& call) {
  const int64_t n_tiles = std::max<int64_t>(1, call.TileCount());
  const int64_t n_keys = call.KeysOfWork();
  const int64_t n_chunks = std::min(n_keys / kSmallestChunk, std::max(kFewestChunks, n_keys / kLongestChunk));
  return std::max<int64_t>(1, std::min(n_chunks, kTasks / n_tiles));
}

// In whole blocks.
int64_t ChunkKeys(const Call& call) {
  const int64_t n_chunks = ChunksOf(call);
  return PadToBlocks((call.input.n_key + n_chunks - 1) / n_chunks);
}

// KV heads that a task scans: all of a batch if that leaves every worker its tasks.
int64_t HeadsAtOnce(const Call& call, int n_workers) {
  const bool has_enough_tasks = call.input.n_batch * ChunksOf(call) >= int64_t{kLeastTasksPerWorker} * n_workers;
  return has_enough_tasks ? call.input.n_head_kv : 1;
}

int64_t SegmentKeys(const Call& call) {
  const int64_t token_bytes = std::max<int64_t>(1, std::abs(call.input.k.token_stride));
  const int64_t n_bytes = kSegmentBytes / token_bytes / kBlockKeys;
  const int64_t n_chunk = ChunkKeys(call) / kLeastSegmentsPerChunk / kBlockKeys;
  return std::clamp<int64_t>(std::min(n_bytes, n_chunk), 1, Int8Segment::kSegmentBlocks) * kBlockKeys;
}

// Products of bf16 parts, which are scores in f32 of all keys: where they suit nothing is faster.
bool ScansBf16(const Call& call) {
  return call.RowsPerHeadKv() <= kMostBf16Rows && SuitsBf16x3(call.input.k.type, call.input.d_k);
}

// Keys are as fast multiplied by few rows in f32 as turned into integers for them, and leave no candidates to score.
bool ScansInt8(const Call& call) {
  const ScanMode scan = call.options.scan;
  if (scan == ScanMode::kF32 || !call.CanScanInt8()) return false;
  return scan != ScanMode::kAuto || (call.RowsPerHeadKv() > kMostDirectRows && !ScansBf16(call));
}

}  // namespace

struct Decode::Worker {
  Workspace work;
  Workspace* head_work;  // [heads_at_once_], or null: of scans in bf16
  KeySample sample;
  Int8Segment segment;
  TilePart merged;  // one row
  FinishScratch finish;
  Gather gather;
};

bool Decode::Suits(const Call& call) { return call.TilesPerHeadKv() == 1 && ChunksOf(call) > 1; }

Decode::Decode(Carver& carver, const Call& call, int n_workers)
    : call_(call),
      n_chunks_(ChunksOf(call)),
      chunk_keys_(ChunkKeys(call)),
      heads_at_once_(HeadsAtOnce(call, n_workers)),
      segment_keys_(SegmentKeys(call)),
      scans_bf16_(ScansBf16(call)) {
  const int64_t n_tiles = call.TileCount();
  const int64_t n_rows = call.RowsPerHeadKv();
  const int64_t capacity = Candidates::Capacity(call.LargestBudget(), chunk_keys_);
  starts_ = carver.Take<RowStart>(n_tiles * n_rows);
  magnitudes_ = carver.Take<int32_t>(n_tiles * PadToLanes(call.input.d_k));
  parts_ = carver.Take<TilePart>(n_tiles * n_chunks_);
  for (int64_t p = 0; p < n_tiles * n_chunks_; ++p) {
    const TilePart part = TilePart::Take(carver, call, n_rows, capacity);
    if (parts_ != nullptr) std::construct_at(parts_ + p, part);
  }
  if (starts_ != nullptr) std::uninitialized_value_construct_n(starts_, n_tiles * n_rows);
  const bool scans_int8 = ScansInt8(call);
  if (scans_int8) int8_ = carver.Take<Int8Tile>(n_tiles);
  for (int64_t t = 0; t < n_tiles && scans_int8; ++t) {
    const Int8Tile tile = Int8Tile::Take(carver, call);
    if (int8_ != nullptr) std::construct_at(int8_ + t, tile);
  }
  uses_int8_ = carver.Take<bool>(n_tiles);
  workers_ = carver.Take<Worker>(n_workers);
  for (int w = 0; w < n_workers; ++w) {
    const Workspace work = Workspace::Take(carver, call);
    Workspace* head_work = scans_bf16_ ? carver.Take<Workspace>(heads_at_once_) : nullptr;
    for (int64_t h = 0; h < heads_at_once_ && scans_bf16_; ++h) {
      const Workspace of_head = work.WithOwnQueries(carver, call);
      if (head_work != nullptr) std::construct_at(head_work + h, of_head);
    }
    const KeySample sample = KeySample::Take(carver, call);
    const Int8Segment segment = scans_int8 ? Int8Segment::Take(carver, call) : Int8Segment();
    const TilePart merged = TilePart::Take(carver, call, 1, n_chunks_ * capacity);
    const FinishScratch finish = FinishScratch::Take(carver, call, n_chunks_ * capacity);
    const Gather gather = Gather::Take(carver);
    if (workers_ != nullptr)
      std::construct_at(workers_ + w, Worker{work, head_work, sample, segment, merged, finish, gather});
  }
}

void Decode::SampleTile(int64_t index, Worker& worker) const {
  const Tile tile = call_.TileAt(index);
  const int64_t stride = PadToLanes(call_.input.d_k);
  Int8Tile* int8 = int8_ == nullptr ? nullptr : int8_ + index;
  std::fill_n(worker.work.magnitude, stride, 0);
  uses_int8_[index] = worker.sample.Run(call_, tile, worker.work, starts_ + index * tile.n_rows, int8);
  std::copy_n(worker.work.magnitude, stride, magnitudes_ + index * stride);
}

void Decode::ScanChunk(int64_t index, Worker& worker) const {
  const int64_t n_groups = call_.TileCount() / heads_at_once_;
  const int64_t first_tile = index % n_groups * heads_at_once_;
  const int64_t chunk = index / n_groups;
  const int64_t end = (chunk + 1) * chunk_keys_;
  const auto part_of = [&](int64_t tile) -> TilePart& { return parts_[tile * n_chunks_ + chunk]; };
  for (int64_t t = first_tile; t < first_tile + heads_at_once_; ++t) {
    const Tile tile = call_.TileAt(t);
    part_of(t).Start(call_, tile, starts_ + t * tile.n_rows, uses_int8_[t]);
  }
  if (scans_bf16_) ScanBlocksOfHeads(first_tile, chunk, worker);
  for (int64_t first = chunk * chunk_keys_; first < end; first += segment_keys_) {
    for (int64_t t = first_tile; t < first_tile + heads_at_once_; ++t) {
      ScanSegment(t, first, std::min(first + segment_keys_, end), worker, part_of(t));
    }
  }
  for (int64_t t = first_tile; t < first_tile + heads_at_once_; ++t) {
    const Tile tile = call_.TileAt(t);
    worker.gather.Scan(call_, tile.batch, tile.head_kv, chunk * chunk_keys_, end, worker.work, part_of(t));
  }
}

// A block of each head in turn: K is read as it stands in memory.
void Decode::ScanBlocksOfHeads(int64_t first_tile, int64_t chunk, Worker& worker) const {
  const AmxRegisters registers;
  const int64_t chunk_begin = chunk * chunk_keys_;
  int64_t begin = chunk_begin + chunk_keys_;
  int64_t end = 0;
  for (int64_t h = 0; h < heads_at_once_; ++h) {
    TilePart& part = parts_[(first_tile + h) * n_chunks_ + chunk];
    const int32_t* magnitude = magnitudes_ + (first_tile + h) * PadToLanes(call_.input.d_k);
    part.StartScan(call_, part.f32_rows(), magnitude, worker.head_work[h]);
    const auto [first_seen, seen_end] = part.KeyRange();
    begin = std::min(begin, std::max(chunk_begin, first_seen / kBlockKeys * kBlockKeys));
    end = std::max(end, std::min(chunk_begin + chunk_keys_, seen_end));
  }
  for (int64_t first = begin; first < end; first += kBlockKeys) {
    const int64_t count = std::min(kBlockKeys, end - first);
    for (int64_t h = 0; h < heads_at_once_; ++h) {
      const Tile tile = call_.TileAt(first_tile + h);
      TilePart& part = parts_[(first_tile + h) * n_chunks_ + chunk];
      if (part.f32_rows().empty()) continue;
      const FetchAhead next = SharesTokens() ? Next(tile, first + kBlockKeys, kBlockKeys) : FetchAhead{};
      const KeyBlock block{call_.KeysOf(tile.batch, tile.head_kv), first, count, next};
      part.ScanBlock(call_, call_.ValuesOf(tile.batch, tile.head_kv), part.f32_rows(), block, worker.head_work[h]);
    }
  }
}

void Decode::ScanSegment(int64_t tile_index, int64_t first, int64_t last, Worker& worker, TilePart& part) const {
  const Tile tile = call_.TileAt(tile_index);
  if (!part.f32_rows().empty() && !scans_bf16_) {
    const auto [begin, end] = part.KeyRange();
    part.Scan(call_, tile.batch, tile.head_kv, part.f32_rows(), std::max(begin, first), std::min(end, last),
              worker.work);
  }
  if (!part.int8_rows().empty()) {
    int8_[tile_index].Scan(call_, tile, part, {first, last, Next(tile, last, segment_keys_)}, worker.work,
                           worker.segment);
  }
}

// Whether the heads of a task stand side by side in memory.
bool Decode::SharesTokens() const {
  return heads_at_once_ > 1 && call_.input.k.token_stride >= heads_at_once_ * call_.input.k.head_stride;
}

// What the heads of a task fetch of the next `count` keys, from key `first` on, while they scan as many: each its share
// of the tokens as they stand in memory, where hardware fetches on, or its own rows if they stand apart.
FetchAhead Decode::Next(const Tile& tile, int64_t first, int64_t count) const {
  if (first % chunk_keys_ == 0) return {};  // what follows the chunk is another task's
  const TensorView& keys = call_.input.k;
  const int64_t bytes = count * keys.token_stride;
  if (!SharesTokens()) return {keys.Row(tile.batch, first, tile.head_kv), bytes};
  return FetchAhead{keys.Row(tile.batch, first, 0), bytes}.Part(tile.head_kv, heads_at_once_);
}

void Decode::FinishRow(int64_t index, Worker& worker, Statistics& statistics) const {
  const int64_t n_rows = call_.RowsPerHeadKv();
  const Tile tile = call_.TileAt(index / n_rows);
  const TilePart* parts = parts_ + index / n_rows * n_chunks_;
  const int64_t row = index % n_rows;  // in the order of the parts, which have only the rows that are not done
  if (row >= static_cast<int64_t>(parts[0].rows().size())) return;
  const RowState& first = parts[0].rows()[row];
  RowStart& start = starts_[index / n_rows * n_rows + call_.RowInHeadKv(first.id)];
  worker.merged.StartRow(call_, first.id, first.is_dense);
  RowState& merged = worker.merged.rows()[0];
  if (!first.is_dense) merged.candidates.SetGuess(start.guess);
  for (int64_t c = 0; c < n_chunks_; ++c) worker.merged.MergeRow(parts[c], row, PadToLanes(call_.input.d_v));
  if (!first.is_dense && !merged.is_canonical && merged.candidates.is_exact() && !merged.candidates.HoldsBest()) {
    start = {.floor = merged.candidates.floor()};
    return;
  }
  FinishPart(call_, tile, worker.merged, worker.work, worker.finish, statistics);
  start.is_done = true;
}

bool Decode::AllRowsDone() const {
  return std::all_of(starts_, starts_ + call_.TileCount() * call_.RowsPerHeadKv(),
                     [](const RowStart& start) { return start.is_done; });
}

void Decode::Run(const Executor& executor, Statistics* statistics) {
  struct State {
    const Decode& decode;
    Statistics* statistics;
  } state{*this, statistics};
  const ParallelTask sample = [](void* opaque, int64_t index, int worker) {
    const Decode& decode = static_cast<State*>(opaque)->decode;
    decode.SampleTile(index, decode.workers_[worker]);
  };
  const ParallelTask scan = [](void* opaque, int64_t index, int worker) {
    const Decode& decode = static_cast<State*>(opaque)->decode;
    decode.ScanChunk(index, decode.workers_[worker]);
  };
  const ParallelTask finish = [](void* opaque, int64_t index, int worker) {
    const State& s = *static_cast<State*>(opaque);
    s.decode.FinishRow(index, s.decode.workers_[worker], s.statistics[worker]);
  };
  executor.parallel_for(executor.context, call_.TileCount(), sample, &state);
  do {  // at most twice: the second scan has no guesses
    executor.parallel_for(executor.context, call_.TileCount() / heads_at_once_ * n_chunks_, scan, &state);
    executor.parallel_for(executor.context, call_.TileCount() * call_.RowsPerHeadKv(), finish, &state);
  } while (!AllRowsDone());
}

}  // namespace topk
