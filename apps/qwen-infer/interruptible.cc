#include "interruptible.h"

#include <signal.h>

#include <exception>

#include "qwen_infer/engine.h"
#include "run.h"

namespace qwen_infer {

int RunInterruptible(const std::function<int(InterruptFlag& interrupts)>& work) {
  int code = kExitFailure;
  int ending_signal = 0;
  {
    InterruptFlag interrupts;
    try {
      code = work(interrupts);
    } catch (const Cancelled&) {
      code = kExitInterrupted;
    } catch (const std::exception& error) {
      PrintError(error.what());
    }
    ending_signal = interrupts.ending_signal();
  }
  if (ending_signal != 0) raise(ending_signal);  // its default effect, now that all is written
  return code;
}

}  // namespace qwen_infer
