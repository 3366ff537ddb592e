#include "interrupts.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

namespace qwen_infer {

namespace {

constexpr int kInterrupts[] = {SIGINT, SIGTERM};

sigset_t InterruptSet() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal_number : kInterrupts) sigaddset(&set, signal_number);
  return set;
}

// Lets a signal that sigwait has taken have its ordinary effect after all, on the calling thread.
void Deliver(int signal_number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal_number);  // returns after the handler, if there is one
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// Posted by the signal handler, which has no other way to say something.
sem_t g_interrupted;

void PostInterrupt(int /*signal_number*/) {
  const int saved_errno = errno;
  sem_post(&g_interrupted);
  errno = saved_errno;
}

void WaitForPost() {
  while (sem_wait(&g_interrupted) != 0 && errno == EINTR) {
  }
}

constexpr int kRaising[] = {SIGINT, SIGTERM, SIGHUP};

// What a signal handler can reach of an InterruptFlag.
struct FlagState {
  std::atomic<bool> raised = false;
  std::atomic<int> ending_signal = 0;
  std::array<int, 2> pipe = {-1, -1};
};
FlagState g_flag;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void Raise(int signal_number) {
  const int saved_errno = errno;
  if (signal_number != SIGINT) g_flag.ending_signal = signal_number;
  g_flag.raised = true;
  // A full pipe can be read as well as one with this byte.
  [[maybe_unused]] const ssize_t written = write(g_flag.pipe[1], "", 1);
  errno = saved_errno;
}

}  // namespace

InterruptCourier::InterruptCourier(std::function<void()> before) : before_(std::move(before)) {
  const sigset_t set = InterruptSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { Run(); });
}

InterruptCourier::~InterruptCourier() {
  stop_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);  // wakes this thread alone
  thread_.join();
}

void InterruptCourier::Run() {
  const sigset_t set = InterruptSet();
  while (true) {
    int signal_number = 0;
    if (sigwait(&set, &signal_number) != 0) continue;
    if (stop_) return;
    before_();
    Deliver(signal_number);
  }
}

InterruptListener::InterruptListener(std::function<void()> on_interrupt) : on_interrupt_(std::move(on_interrupt)) {
  sem_init(&g_interrupted, 0, 0);
  thread_ = std::thread([this] {
    WaitForPost();
    if (!stop_) on_interrupt_();
  });
  struct sigaction action = {};
  action.sa_handler = PostInterrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second one has the default effect
  for (int signal_number : kInterrupts) sigaction(signal_number, &action, nullptr);
}

InterruptListener::~InterruptListener() {
  for (int signal_number : kInterrupts) signal(signal_number, SIG_DFL);
  stop_ = true;
  sem_post(&g_interrupted);
  thread_.join();
}

InterruptFlag::InterruptFlag() {
  if (pipe2(g_flag.pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make a pipe");
  }
  g_flag.raised = false;
  g_flag.ending_signal = 0;
  struct sigaction action = {};
  action.sa_handler = Raise;
  action.sa_flags = SA_RESTART;
  for (int signal_number : kRaising) sigaction(signal_number, &action, nullptr);
}

InterruptFlag::~InterruptFlag() {
  for (int signal_number : kRaising) signal(signal_number, SIG_DFL);
  for (int file : g_flag.pipe) close(file);
}

bool InterruptFlag::IsRaised() const { return g_flag.raised; }

void InterruptFlag::Lower() {
  if (g_flag.ending_signal != 0) return;
  std::array<char, 64> bytes = {};
  while (read(g_flag.pipe[0], bytes.data(), bytes.size()) > 0) {
  }
  g_flag.raised = g_flag.ending_signal != 0;
}

int InterruptFlag::ending_signal() const { return g_flag.ending_signal; }

int InterruptFlag::file() const { return g_flag.pipe[0]; }

}  // namespace qwen_infer
