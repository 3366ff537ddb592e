// What top-k attention keeps of each row. One struct, one table of its fields: the plugin's settings
// string, the command line and --help are all derived from OptionFields().
#ifndef TOPK_OPTIONS_H_
#define TOPK_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "topk/auto_budget.h"
#include "topk/status.h"

namespace topk {

// Whether the mass of a selection, sum_selected exp(s) / sum_all exp(s), is measured.
enum class MassMode {
  kOff,
  kSampled,  // few rows: SamplesMass
  kExact     // every row; implied by min_mass > 0
};

// Rows that see a multiple of the period are measured; the longer one is that of rows that see more than
// kMassLongRow keys, of which every score has to be computed for it.
inline constexpr int64_t kMassSamplingPeriod = 64;
inline constexpr int64_t kMassLongSamplingPeriod = 256;
inline constexpr int64_t kMassLongRow = 2048;
constexpr bool SamplesMass(int64_t n_visible) {
  return n_visible % (n_visible > kMassLongRow ? kMassLongSamplingPeriod : kMassSamplingPeriod) == 0;
}

// How prefill finds the k best. The selected set is the same, exact one. Integer scans rule keys out and score the
// others in f32; where they rule out too few, they fall back to kF32. Decode knows two ways: kF32, which kAuto takes
// for up to four rows a KV head, and int8 for all others.
enum class ScanMode {
  kAuto,  // the fastest for each KV head, from the keys that a sample of each leaves and the number of rows
  kF32,   // every score in f32
  kInt8,  // int8 products
  kInt16  // int16 products: slower, but bounds about a hundred times as narrow
};

struct TopKOptions {
  // Budget: keys kept per query and head, or kAutoBudget ("auto"): each row as many as its length asks for. Rows with
  // at most k visible keys keep all of them.
  int64_t k = 256;
  // Scores are multiplied by scale / temperature.
  float temperature = 1.0F;
  // The first visible keys of each row, kept on top of the budget.
  int64_t sinks = 0;
  // The last visible keys of each row, kept on top of the budget.
  int64_t window = 0;
  // If above 0, the budget of a row grows from k until the selection holds this share of the full softmax.
  float min_mass = 0.0F;
  // Largest budget that min_mass may ask for; rows that need more run dense (or, with
  // dense_beyond_max_k off, keep max_k keys and show in the statistics as a mass below min_mass).
  int64_t max_k = 4096;
  bool dense_beyond_max_k = true;
  // With k >= the visible keys of every row of a call the result is full attention. If off, that is
  // an error (kBudgetCoversAllKeys): a check of one's configuration.
  bool fallback = true;
  // Number of visible keys below which a row runs dense even though k is smaller, because dense is faster there.
  // 0: never. Callers that know the machine set it; `sparse` overrides it.
  int64_t crossover = 0;
  // Force the sparse path for every row, whatever the crossover.
  bool sparse = false;
  MassMode mass = MassMode::kOff;
  ScanMode scan = ScanMode::kAuto;

  // The budget of a row that sees so many keys: k, or what "auto" stands for there. With min_mass it grows from here.
  int64_t BudgetFor(int64_t n_visible) const { return k == kAutoBudget ? AutoBudget(n_visible) : k; }

  // kInvalidArgument, naming the field, its value and its range, if any field is out of range.
  Status Validate() const;
};

// One line of the table that flags, settings strings and --help are made of.
struct OptionField {
  std::string_view name;   // as in "k=256"
  std::string_view type;   // "integer", "number", "bool", words as in "off|sampled|exact", or both as in "auto|N"
  std::string_view range;  // "1 to 1073741824"
  std::string_view default_value;
  std::string_view sentence;           // one line of help; of a bool: what it means when on
  std::string_view off_sentence = {};  // of a bool: what it means when off; else empty
};

// All fields, in the order of TopKOptions. Static storage; safe from any thread.
std::span<const OptionField> OptionFields();

// Parses `value` into the field `name`; blanks around both do not count. Refuses unknown names (listing the known
// ones), unparsable values and values out of range; `options` is unchanged on error.
Status SetOption(TopKOptions& options, std::string_view name, std::string_view value);

// "k=256,temperature=1,..." with every field, in table order; SetOption reads each pair back.
std::string FormatOptions(const TopKOptions& options);

}  // namespace topk

#endif  // TOPK_OPTIONS_H_
