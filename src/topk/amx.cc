#include "topk/amx.h"

#include <atomic>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace topk {

namespace {

std::atomic<bool> is_allowed = true;

#if defined(__x86_64__) && defined(__linux__)
constexpr unsigned kAmxBits = 1U << 22 | 1U << 24 | 1U << 25;  // bf16, tiles, int8: of EDX, CPUID leaf 7
// asm/prctl.h of older kernels has neither.
constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr int kTileData = 18;               // XFEATURE_XTILEDATA

bool FindFp16() { return __builtin_cpu_supports("avx512fp16") != 0 && __builtin_cpu_supports("avx512vbmi") != 0; }

bool FindAmx() {
  if constexpr ((HWY_TARGETS & kAvx3OrBetter) == 0) return false;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kAmxBits) != kAmxBits) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
bool FindFp16() { return false; }
bool FindAmx() { return false; }
#endif

}  // namespace

bool HasAmx() {
  static const bool kHasAmx = FindAmx();
  return kHasAmx;
}

bool UsesAmx() { return is_allowed.load(std::memory_order_relaxed) && HasAmx(); }

bool UsesFp16() {
  static const bool kHasFp16 = FindFp16();
  return kHasFp16 && UsesAmx();
}

void AllowAmx(bool allow) { is_allowed.store(allow, std::memory_order_relaxed); }

#if defined(__x86_64__) && defined(__linux__)
AmxRegisters::AmxRegisters() {
  Configuration ours{};
  for (int i = 0; i < kAmxRegisters; ++i) {
    ours.row_bytes[i] = kAmxRowBytes;
    ours.rows[i] = kAmxRows;
  }
  asm volatile("sttilecfg %0" : "=m"(before_));  // NOLINT(hicpp-no-assembler)
  asm volatile("ldtilecfg %0" : : "m"(ours));    // NOLINT(hicpp-no-assembler)
}
AmxRegisters::~AmxRegisters() { asm volatile("ldtilecfg %0" : : "m"(before_)); }  // NOLINT(hicpp-no-assembler)
#else
AmxRegisters::AmxRegisters() = default;
AmxRegisters::~AmxRegisters() = default;
#endif

}  // namespace topk
