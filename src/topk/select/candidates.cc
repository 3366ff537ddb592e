#include "topk/select/candidates.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "topk/numeric.h"
#include "topk/select/select.h"

namespace topk {

namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();  // above -inf, which hides
// Below this many free places, raising the floor would cost more than the places are worth.
constexpr int64_t kSmallestRoom = 256;

// 2e + 8u|T| in f64, with room for its own rounding: the distance from T beyond which a key is decided.
double Margin(float kth, float error) {
  return 2.001 * static_cast<double>(error) + 0x1p-21 * std::abs(static_cast<double>(kth));
}

// A floor that was proven for scores with some error, for scores whose error is larger by `growth`.
float Lowered(float floor, float growth) {
  const double lowered = static_cast<double>(floor) - 1.001 * static_cast<double>(growth);
  return std::max(kLowest, RoundDown(lowered));
}

}  // namespace

bool RanksBefore(const ScoredKey& a, const ScoredKey& b) {
  const bool a_nan = std::isnan(a.score);
  const bool b_nan = std::isnan(b.score);
  if (a_nan != b_nan) return b_nan;
  if (!a_nan && a.score != b.score) return a.score > b.score;
  return a.key < b.key;
}

int64_t Candidates::Capacity(int64_t budget, int64_t n_keys) {
  const int64_t room = std::min(budget, n_keys) + std::max(std::min(budget, n_keys), kSmallestRoom);
  return PadToLanes(std::min(room, n_keys)) + kBlockKeys + kMaxLanes;
}

void Candidates::Start(int64_t budget, int64_t capacity, float* scores, KeyIndex* keys) {
  budget_ = budget;
  capacity_ = capacity - kMaxLanes;  // the primitives write a vector past the end
  count_ = 0;
  scores_ = scores;
  keys_ = keys;
  floor_ = kLowest;
  guess_ = kLowest;
  error_ = 0.0F;
  is_exact_ = true;
}

void Candidates::SetError(float error) {
  if (!(error > error_)) return;
  floor_ = Lowered(floor_, error - error_);
  error_ = error;
}

float Candidates::FloorBelow(float kth) const {
  return std::max(kLowest, RoundDown(static_cast<double>(kth) - Margin(kth, error_)));
}

float Candidates::CeilingAbove(float kth) const { return RoundUp(static_cast<double>(kth) + Margin(kth, error_)); }

void Candidates::DropHopeless() {
  if (count_ >= budget_) RaiseFloor(FloorBelow(KthLargestOfTail(scores_, count_, budget_)));
  count_ = Compact(floor_, count_, scores_, keys_);
}

bool Candidates::HoldsBest() {
  if (guess_ <= floor_) return true;
  DropHopeless();
  return guess_ <= floor_;
}

// Room for a block of scores; false, and never exact again, if too many tie within the error.
bool Candidates::MakeRoom() {
  if (is_exact_ && count_ + kBlockKeys > capacity_) {
    DropHopeless();
    is_exact_ = count_ + kBlockKeys <= capacity_;
  }
  return is_exact_;
}

void Candidates::Append(const float* scores, KeyIndex first_key) {
  if (!MakeRoom()) return;
  count_ += Filter(scores, ReachToCompete(), first_key, scores_ + count_, keys_ + count_);
}

void Candidates::AppendWhole(float* scores, int64_t count, int64_t n_shown, KeyIndex first_key) {
  const auto append_all = [&] {
    for (int64_t j = 0; j < count; j += kBlockKeys) Append(scores + j, first_key + static_cast<KeyIndex>(j));
  };
  if (n_shown <= budget_) return append_all();
  // The k-th best of those that reach a guess takes fewer passes to find.
  guess_ = GuessFloorFor(scores, count, n_shown, budget_);
  append_all();
  const bool is_proven = is_exact_ && HoldsBest();
  guess_ = kLowest;
  if (is_proven) return;
  is_exact_ = true;
  Restart();
  RaiseFloor(FloorBelow(KthLargest(scores, count, budget_)));
  append_all();
}

void Candidates::Append(const float* scores, const KeyIndex* keys, int64_t count) {
  for (int64_t j = 0; j < count && MakeRoom(); j += kBlockKeys) {
    const int64_t n = std::min(kBlockKeys, count - j);
    std::copy_n(scores + j, n, scores_ + count_);
    std::copy_n(keys + j, n, keys_ + count_);
    count_ += n;
  }
}

void Candidates::Append(const Candidates& part) {
  is_exact_ = is_exact_ && part.is_exact_;
  if (!is_exact_) return;
  SetError(part.error_);
  RaiseFloor(Lowered(part.floor_, error_ - part.error_));
  if (part.count_ == 0) return;
  std::memcpy(scores_ + count_, part.scores_, part.count_ * sizeof(float));
  std::memcpy(keys_ + count_, part.keys_, part.count_ * sizeof(KeyIndex));
  count_ += part.count_;
}

void Candidates::KeepBest(int64_t budget, const CanonicalScorer& scorer, const UndecidedScratch& scratch) {
  if (count_ <= budget) return;
  if (budget == 0) {
    count_ = 0;
    return;
  }
  const float kth = KthLargest(scores_, count_, budget);
  count_ = Compact(FloorBelow(kth), count_, scores_, keys_);
  if (count_ == budget) return;

  const float sure = CeilingAbove(kth);
  int64_t n_undecided = 0;
  for (int64_t j = 0; j < count_; ++j) {
    if (scores_[j] <= sure) scratch.keys[n_undecided++] = keys_[j];
  }
  scorer.Score({scratch.keys, static_cast<size_t>(n_undecided)}, scratch.scores);
  for (int64_t j = 0; j < n_undecided; ++j) scratch.ranked[j] = {scratch.scores[j], scratch.keys[j]};
  const int64_t places = budget - (count_ - n_undecided);
  std::nth_element(scratch.ranked, scratch.ranked + places - 1, scratch.ranked + n_undecided, RanksBefore);
  const ScoredKey last = scratch.ranked[places - 1];

  int64_t kept = 0;
  int64_t undecided = 0;
  for (int64_t j = 0; j < count_; ++j) {
    if (scores_[j] <= sure) {
      const ScoredKey candidate{scratch.scores[undecided], scratch.keys[undecided]};
      ++undecided;
      if (RanksBefore(last, candidate)) continue;
    }
    scores_[kept] = scores_[j];
    keys_[kept++] = keys_[j];
  }
  count_ = kept;
}

}  // namespace topk
