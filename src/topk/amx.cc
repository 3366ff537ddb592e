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
constexpr unsigned kAmxBf16Bit = 1U << 22;  // of EDX, CPUID leaf 7
constexpr unsigned kAmxTileBit = 1U << 24;
constexpr unsigned kAmxInt8Bit = 1U << 25;
// asm/prctl.h of older kernels has neither.
constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr int kTileData = 18;               // XFEATURE_XTILEDATA

bool HasFeatures(unsigned bits) {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & bits) == bits;
}

bool FindAmx() {
  return HasFeatures(kAmxTileBit | kAmxInt8Bit) && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
bool FindAmxBf16() { return HasAmx() && HasFeatures(kAmxBf16Bit); }
#else
bool FindAmx() { return false; }
bool FindAmxBf16() { return false; }
#endif

}  // namespace

bool HasAmx() {
  static const bool kHasAmx = FindAmx();
  return kHasAmx;
}

bool HasAmxBf16() {
  static const bool kHasAmxBf16 = FindAmxBf16();
  return kHasAmxBf16;
}

bool UsesAmx() { return is_allowed.load(std::memory_order_relaxed) && HasAmx(); }

void AllowAmx(bool allow) { is_allowed.store(allow, std::memory_order_relaxed); }

}  // namespace topk
