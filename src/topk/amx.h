// AMX, the tile registers that Intel's processors have from Sapphire Rapids on: whether they may be used.
#ifndef TOPK_SRC_AMX_H_
#define TOPK_SRC_AMX_H_

namespace topk {

// Whether the processor multiplies tiles of int8 and the operating system lets this process do so, which is asked for
// once. Threads that exist already have the permission too.
bool HasAmx();

// Whether it multiplies tiles of bf16, too: all processors that have AMX do, but a hypervisor may say otherwise.
bool HasAmxBf16();

// Whether kernels use it: where there is AMX, unless UseSimdTarget chose a target without it.
bool UsesAmx();
void AllowAmx(bool allow);

}  // namespace topk

#endif  // TOPK_SRC_AMX_H_
