// The exact k best of a stream of approximate scores with a known error.
//
// Append receives blocks of scores s~ with |s~ - s| <= e + 2u|s~| (scan/scan.h), where s is the canonical score. Let T
// be the k-th largest s~ seen so far. k keys have s >= T - e - 2u|T|, so the k-th largest s of the row is at least
// that, and a key with s~ < T - 2e - 8u|T| (the floor) cannot be among the k best: it is dropped for good. e may
// grow as larger keys arrive, whose scores may be off by more than the floor allows for: it is lowered by the growth.
// A guess may stand in for a floor that is not proven yet: keys below it are left out too, and HoldsBest tells at the
// end whether that was right. At the end keys above T + 2e + 8u|T| are in for sure; the few in between are decided by
// their canonical scores, equal ones by the lower key. So the set is the exact one whatever the order and rounding of
// the scan.
#ifndef TOPK_SRC_SELECT_CANDIDATES_H_
#define TOPK_SRC_SELECT_CANDIDATES_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"
#include "topk/load/pack.h"

namespace topk {

struct ScoredKey {
  double score;
  KeyIndex key;
};

// Higher scores first, NaN last, equal scores by the lower key: the order that defines the k best.
bool RanksBefore(const ScoredKey& a, const ScoredKey& b);

// Canonical scores of keys of one row: what settles the undecided ones.
class CanonicalScorer {
 public:
  virtual void Score(std::span<const KeyIndex> keys, double* scores) const = 0;

 protected:
  ~CanonicalScorer() = default;
};

// Memory for the undecided keys of one row at a time: as many of each as a row's capacity.
struct UndecidedScratch {
  KeyIndex* keys = nullptr;
  double* scores = nullptr;
  ScoredKey* ranked = nullptr;
};

class Candidates {
 public:
  // Memory that a row with this budget over at most n_keys keys needs, in elements.
  static int64_t Capacity(int64_t budget, int64_t n_keys);

  // Starts a row. `scores` (64-byte aligned) and `keys` hold Capacity() elements and outlive the row.
  void Start(int64_t budget, int64_t capacity, float* scores, KeyIndex* keys);

  // A lower bound on the k-th largest s, as a floor for s~, known from elsewhere (another part of the same row).
  void RaiseFloor(float floor) { floor_ = floor > floor_ ? floor : floor_; }
  float floor() const { return floor_; }

  // A guess at such a floor. Set before any Append.
  void SetGuess(float guess) { guess_ = guess; }
  // The least score that is not dropped.
  float ReachToCompete() const { return floor_ > guess_ ? floor_ : guess_; }
  // Whether the guess is proven by what passed it. If not, start again with the floor() that is.
  bool HoldsBest();

  // The error bound of the scores to come; it never shrinks within a row.
  void SetError(float error);
  float error() const { return error_; }

  // A block of kBlockKeys scores of the keys from first_key on; -inf hides.
  void Append(const float* scores, KeyIndex first_key);

  // All scores of a row, `count` in whole blocks, of the keys from first_key on; -inf hides all but n_shown of them.
  // They have room for kMaxLanes more, which are overwritten. The first and only Append of a row without guess or
  // floor.
  void AppendWhole(float* scores, int64_t count, int64_t n_shown, KeyIndex first_key);

  // Scores of listed keys, all finite.
  void Append(const float* scores, const KeyIndex* keys, int64_t count);

  // Drops what the candidates so far rule out; floor() is then the best that they prove.
  void DropHopeless();

  // Forgets the candidates, but not the floor that they proved.
  void Restart() { count_ = 0; }

  // The candidates of another part of the same row.
  void Append(const Candidates& part);

  // Reduces the candidates to the exact `budget` best, in the order they came; at most the budget of Start, and again
  // with smaller ones. Call only while is_exact().
  void KeepBest(int64_t budget, const CanonicalScorer& scorer, const UndecidedScratch& scratch);

  // False once more candidates tied within the error than there is room for: the row must be selected canonically.
  bool is_exact() const { return is_exact_; }

  int64_t budget() const { return budget_; }
  int64_t count() const { return count_; }
  const float* scores() const { return scores_; }
  const KeyIndex* keys() const { return keys_; }

 private:
  float FloorBelow(float kth) const;
  float CeilingAbove(float kth) const;
  bool MakeRoom();

  int64_t budget_ = 0;
  int64_t capacity_ = 0;
  int64_t count_ = 0;
  float* scores_ = nullptr;
  KeyIndex* keys_ = nullptr;
  float floor_ = 0.0F;
  float guess_ = 0.0F;
  float error_ = 0.0F;
  bool is_exact_ = true;
};

}  // namespace topk

#endif  // TOPK_SRC_SELECT_CANDIDATES_H_
