// A tile of rows against a range of keys, and what remains of them: candidates for sparse rows, partial sums for dense
// ones. Parts over different ranges of keys merge, so work split among threads needs no special case.
#ifndef TOPK_SRC_TILE_H_
#define TOPK_SRC_TILE_H_

#include <cstdint>
#include <limits>
#include <span>

#include "topk/attend/attend.h"
#include "topk/call.h"
#include "topk/carver.h"
#include "topk/key_panels.h"
#include "topk/load/key_block.h"
#include "topk/select/candidates.h"

namespace topk {

// One row within a part.
struct RowState {
  RowId id{};
  const Visibility* visible = nullptr;
  const uint8_t* mask = nullptr;  // null where the visibility is a range
  float slope = 1.0F;
  bool is_dense = false;
  bool is_canonical = false;  // the scan cannot decide it: canonical/canonical_row.h
  bool measures_mass = false;
  Candidates candidates;  // of a sparse row
  ExpSum all;             // of all keys: always for a dense row, if measured for a sparse one
  int64_t n_scored = 0;   // keys of a sparse row that were scored in f32
};

// What is known of a row before a part begins with it.
struct RowStart {
  float floor = std::numeric_limits<float>::lowest();  // proven, see Candidates::RaiseFloor
  float guess = std::numeric_limits<float>::lowest();  // see Candidates::SetGuess
  bool is_done = false;                                // the part leaves it out
};

// Per thread: packed blocks and the scores of a tile against one block.
struct Workspace {
  float* queries = nullptr;        // [kTileRows][PadToLanes(d_k)], scaled
  float* key_panel = nullptr;      // [d_k][kBlockKeys]
  float* value_panel = nullptr;    // [kBlockKeys][PadToLanes(d_v)]
  float* scores = nullptr;         // [kTileRows][kBlockKeys]
  int32_t* magnitude = nullptr;    // [PadToLanes(d_k)]: the largest number of each dimension of the keys so far
  uint8_t* query_tiles = nullptr;  // Bf16QueryBytes(d_k): the queries in parts, where keys suit bf16x3/bf16x3.h

  static Workspace Take(Carver& carver, const Call& call);
  // Shares all but what a scan remembers from block to block, for up to kMostBf16Rows rows.
  Workspace WithOwnQueries(Carver& carver, const Call& call) const;
};

// Per thread: the scores of a tile against all keys, where those are few.
struct WholeRows {
  // Most keys: the scores of a tile's rows against so many stay in the L2 cache.
  static constexpr int64_t kMostKeys = 4096;

  float* scores = nullptr;    // [kTileRows][stride]
  int64_t stride = 0;         // with what the selection overwrites past a row's end
  uint16_t* parts = nullptr;  // of the tile's queries, see KeyPanels::Queries

  static WholeRows Take(Carver& carver, const Call& call);
};

// Hides the scores of keys outside [begin, end) in the block that starts at first_key.
void HideOutside(int64_t begin, int64_t end, int64_t first_key, float* scores);

// The keys' magnitudes grew: so do the bounds on the scores' errors of the rows of work.queries.
void UpdateErrors(const Call& call, const Workspace& work, std::span<RowState> rows);

// One step of online softmax for dense rows: the scores of `count` keys, whose values are in work.value_panel, into
// sums[row][d_v_padded].
void AttendPanel(const Workspace& work, int64_t count, std::span<RowState> rows, float* sums, int64_t d_v_padded);

// The state of up to max_rows rows over the keys that were scanned so far. Of those that are scanned, dense rows come
// first and those that an int8 scan suits last; then come those that gather their keys.
class TilePart {
 public:
  static TilePart Take(Carver& carver, const Call& call, int64_t max_rows, int64_t capacity);

  // Begins the tile's rows, in an order of the part's own. starts: one for each row of the tile, or null. use_int8:
  // leave the rows that an int8 scan suits to int8_rows().
  void Start(const Call& call, const Tile& tile, const RowStart* starts, bool use_int8);
  // Begins one row only; used where rows are merged, or computed once more as dense.
  void StartRow(const Call& call, const RowId& id, bool is_dense);
  // Keeps only the rows that `again` names (indices, ascending), as dense rows over no keys yet.
  void RestartAsDense(const Call& call, std::span<const int64_t> again);

  // Scans keys [begin, end) in f32 for f32_rows(), or for sparse ones of int8_rows().
  void Scan(const Call& call, int64_t batch, int64_t head_kv, std::span<RowState> scanned, int64_t begin, int64_t end,
            const Workspace& work);
  // The same step by step: the start, and then blocks of up to kBlockKeys keys, of one batch and KV head; if
  // work.query_tiles is not null, while the thread has AmxRegisters. magnitude: what is known of some of the keys'
  // magnitudes, or null.
  void StartScan(const Call& call, std::span<RowState> scanned, const int32_t* magnitude, const Workspace& work);
  void ScanBlock(const Call& call, const TensorView& values, std::span<RowState> scanned, const KeyBlock& block,
                 const Workspace& work);

  // The same for f32_rows() that are sparse, over all their keys, which are in `panels`; few rows need none (null), see
  // direct/direct.h. Every score is there before the selection begins, which takes one search for each row.
  void ScanWholeRows(const Call& call, int64_t batch, int64_t head_kv, const KeyPanels* panels, const Workspace& work,
                     const WholeRows& whole);

  // Adds another part's state of one of its rows to row 0 of this part, which has that row alone.
  void MergeRow(const TilePart& other, int64_t other_row, int64_t d_v_padded);

  std::span<RowState> rows() const { return {rows_, static_cast<size_t>(n_rows_)}; }
  std::span<RowState> f32_rows() const { return rows().first(static_cast<size_t>(n_f32_)); }
  std::span<RowState> dense_rows() const { return rows().first(static_cast<size_t>(n_dense_)); }  // they come first
  std::span<RowState> int8_rows() const {
    return rows().subspan(static_cast<size_t>(n_f32_), static_cast<size_t>(n_scanned_ - n_f32_));
  }
  std::span<RowState> gathered_rows() const { return rows().subspan(static_cast<size_t>(n_scanned_)); }
  // No int8 scan is made after all.
  void ScanAllInF32() { n_f32_ = n_scanned_; }
  float* sum(int64_t row) const { return sums_ + row * sum_stride_; }
  // The keys that any of the rows, or of f32_rows(), sees: [first, second).
  static std::pair<int64_t, int64_t> KeyRangeOf(std::span<const RowState> rows);
  std::pair<int64_t, int64_t> KeyRange() const { return KeyRangeOf(f32_rows()); }

 private:
  void Admit(const Call& call, const RowId& id, bool is_dense, int64_t slot);
  void PrepareScores(const Call& call, const RowState& row, int64_t first_key, float* scores) const;
  void OfferBlock(RowState& row, int64_t first_key, float* scores) const;
  void OfferWholeRow(const Call& call, RowState& row, int64_t begin, float* scores) const;
  void AttendBlock(const Call& call, const TensorView& values, int64_t first_key, int64_t count, const Workspace& work);

  RowState* rows_ = nullptr;
  int64_t n_rows_ = 0;
  int64_t n_dense_ = 0;
  int64_t n_f32_ = 0;
  int64_t n_scanned_ = 0;
  bool scans_bf16_ = false;  // by work.query_tiles
  float* sums_ = nullptr;    // [max_rows][PadToLanes(d_v)]: sum of exp(s - largest) v of dense rows
  int64_t sum_stride_ = 0;
  float* candidate_scores_ = nullptr;  // [max_rows][capacity]
  KeyIndex* candidate_keys_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace topk

#endif  // TOPK_SRC_TILE_H_
