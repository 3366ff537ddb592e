// Long work of a subcommand that ends well when it is interrupted.
#ifndef QWEN_INFER_APPS_INTERRUPTIBLE_H_
#define QWEN_INFER_APPS_INTERRUPTIBLE_H_

#include <functional>

#include "interrupts.h"

namespace qwen_infer {

// The exit code of `work`; kExitInterrupted if it throws Cancelled, and kExitFailure, which it explains, for every
// other exception. Does not return after SIGTERM and SIGHUP: they end the process once `work` is done.
int RunInterruptible(const std::function<int(InterruptFlag& interrupts)>& work);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_INTERRUPTIBLE_H_
