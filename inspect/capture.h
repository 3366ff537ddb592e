// Collects what layers keep while a text is read, in a size that is known beforehand: of each row (token, head, layer)
// the strongest weights, how many keys it kept and the mass that it dropped; and sums over the text.
#ifndef QWEN_INFER_INSPECT_CAPTURE_H_
#define QWEN_INFER_INSPECT_CAPTURE_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "head_figures.h"
#include "selection_observer.h"
#include "strongest.h"

namespace qwen_infer::inspect {

// Rows of heads, or of means over heads: number `of` of token t is row of * n_token + t.
struct Rows {
  std::vector<uint16_t> keys;    // [of][token][strongest]
  std::vector<uint8_t> weights;  // the same; packed, 0: none
  std::vector<uint16_t> kept;    // [of][token]: how many keys; a mean is rounded, and 65536 is 65535
  std::vector<uint8_t> dropped;  // [of][token]: 1 - mass, packed
};

struct LayerCapture {
  int layer = 0;
  Rows rows;  // of each head, and last those of the mean over heads
  std::vector<HeadFigures> heads;
  std::vector<double> received;  // by key: the weights that it got, of all rows, mean over heads
  bool is_seen = false;          // since Begin
};

// Bytes of the rows of one head, or of a mean.
int64_t BytesOfRows(int64_t n_token, int strongest);

class Capture : public SelectionObserver {
 public:
  // layers: those to look at. strongest: weights of a row, at least 1.
  Capture(std::span<const int> layers, int64_t n_token, int strongest);

  // The next tokens that are computed at once; End follows when they are.
  void Begin(int64_t first_token, int64_t count);
  void End();

  bool Wants(int layer) const override { return layers_.contains(layer); }
  // Throws std::runtime_error if the keys are not the tokens in their order, or a layer comes twice.
  void Observe(int layer, const topk::AttentionInput& input, const topk::SelectionView& selection,
               std::span<const float> mass) override;

  int64_t n_token() const { return n_token_; }
  int strongest() const { return strongest_; }
  // Those that had attention, ascending.
  std::vector<const LayerCapture*> layers() const;
  // The mean over heads and layers.
  const Rows& mean() const { return mean_; }

 private:
  // A row that is a mean: weights by key, and which keys have any.
  struct MeanRow {
    std::vector<float> weights;  // [token], zeros between uses
    std::vector<topk::KeyIndex> keys;
    double kept = 0;
    double dropped = 0;

    void Add(topk::KeyIndex key, float weight) {
      if (weight == 0) return;
      if (weights[key] == 0) keys.push_back(key);
      weights[key] += weight;
    }
  };

  void ObserveHead(LayerCapture& layer, int64_t head, int64_t query, const topk::AttentionInput& input,
                   const topk::SelectionView& selection, float mass);
  // Writes the mean as row number `of`, adds it to `sum` if that is not null, and leaves it empty.
  void Finish(MeanRow& row, int64_t of, int64_t token, Rows& rows, MeanRow* sum);
  void Write(int64_t of, int64_t token, double kept, double dropped, Rows& rows);
  Rows NewRows(int64_t count) const;

  std::map<int, LayerCapture> layers_;
  int64_t n_token_;
  int strongest_;
  int64_t first_token_ = 0;
  int64_t count_ = 0;
  int64_t n_layer_of_mean_ = 0;          // layers seen since Begin
  std::vector<MeanRow> mean_of_layers_;  // by token since Begin
  MeanRow mean_of_heads_;
  std::vector<WeightOfKey> scratch_;
  Rows mean_;
};

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_CAPTURE_H_
