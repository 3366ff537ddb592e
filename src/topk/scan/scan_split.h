// The f32 scan on AMX, which multiplies bf16: every f32 number is the exact sum of three bf16 numbers of 8 bits each,
//   x = x1 + x2 + x3,    |x2| <= 2^-7 |x|,    |x3| <= 2^-15 |x|      (each part is what is left, cut off after 8 bits)
// and of the nine products of the parts of q and k only q2 k3, q3 k2 and q3 k3, together below 2^-20 |q k|, are left
// out. Six products on AMX take two fifths of the time of one in AVX-512.
//
// The error: what is left out is below 8.1 u |q k|. An instruction adds 16 products in each of two chains that begin
// with 0, then the two, then their sum to what was there (Intel's manual, TDPBF16PS): of the large products 17 + ceil(d
// / 32) roundings cost as many u of |q k| (1 + 1/60). The five small ones are added up before, to less than |q k| / 60,
// so that their 17 + 5 ceil(d / 32) roundings cost 0.3 + 0.09 ceil(d / 32). Together with what the f32 scan has beside
// its products (scan.h), 8 u, less than 34 + 1.2 ceil(d / 32). AMX takes subnormal numbers for 0, as inputs and as
// results.
#ifndef TOPK_SRC_SCAN_SCAN_SPLIT_H_
#define TOPK_SRC_SCAN_SCAN_SPLIT_H_

#include <cstdint>

#include "topk/load/pack.h"

namespace topk {

inline constexpr int64_t kSplitParts = 3;
// Rows that are multiplied together, and numbers of a row in an instruction.
inline constexpr int64_t kSplitRows = 32;
inline constexpr int64_t kSplitNumbers = 32;

constexpr int64_t PadToSplit(int64_t count) { return (count + kSplitNumbers - 1) / kSplitNumbers * kSplitNumbers; }

// bf16 numbers of a split panel, and of n_rows split rows, a multiple of kSplitRows.
constexpr int64_t SplitPanelSize(int64_t d) { return kSplitParts * PadToSplit(d) * kBlockKeys; }
constexpr int64_t SplitRowsSize(int64_t n_rows, int64_t d) { return kSplitParts * n_rows * PadToSplit(d); }

// Whether this processor can, and the SIMD target in use allows it.
bool CanScanSplit();

// parts[p][i / 2][j][i % 2] = part p of panel[i][j], which PackKeys wrote; i < PadToSplit(d), zeros from d on. The next
// two: [part][row][PadToSplit(d)], all rows from n_rows on up to the next multiple of kSplitRows zeros; rows have a
// `stride`. Arrays of 64-byte alignment. No allocation; any thread.
void SplitPanel(const float* panel, int64_t d, uint16_t* parts);
void SplitPanelReference(const float* panel, int64_t d, uint16_t* parts);
void SplitRows(const float* rows, int64_t stride, int64_t n_rows, int64_t d, uint16_t* parts);
void SplitRowsReference(const float* rows, int64_t stride, int64_t n_rows, int64_t d, uint16_t* parts);

// C[r, j] = q_r . k_j for r of [first_row, end_row), both multiples of kSplitRows, of the n_rows in `rows`, and the
// kBlockKeys keys of a panel. C is 64-byte aligned, as is its stride. Only where CanScanSplit().
void MultiplySplit(const uint16_t* rows, int64_t n_rows, const uint16_t* panel, int64_t d, int64_t first_row,
                   int64_t end_row, float* c, int64_t c_stride);

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_SPLIT_H_
