// Ctrl-C and SIGTERM, handled on ordinary threads: in a signal handler hardly anything may be done.
#ifndef QWEN_INFER_APPS_INTERRUPTS_H_
#define QWEN_INFER_APPS_INTERRUPTS_H_

#include <atomic>
#include <functional>
#include <thread>

namespace qwen_infer {

// A last word before a signal takes its course. llama.cpp's tools end on SIGINT from inside a handler
// (llama-completion) or by the default action (llama-perplexity, llama-bench).
//
// While it lives, the signals wait for a thread of its own, which calls `before` and then lets go: the handler that the
// tool has installed by then runs on that thread, or the default action ends the process. For tools that do not need a
// signal to interrupt a blocking call. Create it before any other thread: the signals are blocked in the creating
// thread and in those that it starts.
class InterruptCourier {
 public:
  explicit InterruptCourier(std::function<void()> before);
  ~InterruptCourier();

  InterruptCourier(const InterruptCourier&) = delete;
  InterruptCourier& operator=(const InterruptCourier&) = delete;

 private:
  void Run();

  std::function<void()> before_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Calls `on_interrupt` on a thread of its own at the first signal; a second one ends the process at once. Signals are
// not blocked, so child processes inherit nothing. At most one lives at a time.
class InterruptListener {
 public:
  explicit InterruptListener(std::function<void()> on_interrupt);
  ~InterruptListener();

  InterruptListener(const InterruptListener&) = delete;
  InterruptListener& operator=(const InterruptListener&) = delete;

 private:
  std::function<void()> on_interrupt_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// For programs that go on after Ctrl-C: while it lives, SIGINT raises it and does nothing else. SIGTERM and SIGHUP
// raise it for good. At most one lives at a time.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();

  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  bool IsRaised() const;
  void Lower();
  // SIGTERM or SIGHUP, once one of them came; else 0.
  int ending_signal() const;
  // Of a file that can be read while the flag is raised: for poll(), beside what a program waits for.
  int file() const;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_INTERRUPTS_H_
