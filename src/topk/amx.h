// AMX, the tile registers that Intel's processors have from Sapphire Rapids on: whether they may be used.
#ifndef TOPK_SRC_AMX_H_
#define TOPK_SRC_AMX_H_

#include <hwy/detect_targets.h>
#include <cstdint>

namespace topk {

// Highway's targets that kernels for AMX are compiled for: better targets are lower bits.
inline constexpr int64_t kAvx3OrBetter = (HWY_AVX3 << 1) - 1;

// A tile register, and of how many there are.
inline constexpr int kAmxRegisters = 8;
inline constexpr int64_t kAmxRows = 16;
inline constexpr int64_t kAmxRowBytes = 64;
inline constexpr int64_t kAmxTileBytes = kAmxRows * kAmxRowBytes;

// Whether the processor multiplies tiles of int8 and of bf16, the operating system lets this process do so, which is
// asked for once, and kernels for it were compiled (a build may leave AVX-512 out). Threads that exist already have the
// permission too.
bool HasAmx();

// Whether kernels use it: where there is AMX, unless UseSimdTarget chose a target without it.
bool UsesAmx();
void AllowAmx(bool allow);

// Whether kernels use AVX512-FP16, and VBMI, which picks bytes of two vectors. Part of the target AMX: the first
// processors to have one have all.
bool UsesFp16();

// The tile registers of this thread, all of full size as long as this lives; only where there is AMX. ggml, on the same
// threads, configures them once and for all, so what was there before is put back.
class AmxRegisters {
 public:
  AmxRegisters();
  ~AmxRegisters();

  AmxRegisters(const AmxRegisters&) = delete;
  AmxRegisters& operator=(const AmxRegisters&) = delete;

 private:
  struct Configuration {  // as the instructions have it
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };
  static_assert(sizeof(Configuration) == 64);

  Configuration before_;
};

}  // namespace topk

#endif  // TOPK_SRC_AMX_H_
