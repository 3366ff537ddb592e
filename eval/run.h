// A run: all windows, one after the other, each kept on the disk as soon as it is finished.
#ifndef QWEN_INFER_EVAL_RUN_H_
#define QWEN_INFER_EVAL_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options.h"
#include "qwen_infer/engine.h"
#include "state.h"
#include "text.h"
#include "window_scores.h"

namespace qwen_infer::eval {

// Of hashes, in names and files.
std::string Hexadecimal(uint64_t number);

struct Corpus {
  std::vector<std::vector<Token>> windows;
  std::string hash;  // of their tokens
};

// The windows of a text, as the model sees them. kInvalidArgument if the text is too short for them, or the windows are
// longer than what the model was trained with.
topk::Status MakeCorpus(const Model& model, const Text& text, const Options& options, Corpus& out);

Corpus CorpusOf(std::vector<std::vector<Token>> windows);

// versions: of the software, which the figures depend on.
RunIdentity IdentityOf(const Model& model, const Corpus& corpus, const Options& options, const std::string& versions);

struct Listener {
  std::function<void(std::string_view)> say;  // how far it is
  std::function<bool()> is_interrupted;       // asked some ten times a second
};

// How one window is read. on_read gets the cost of each part that is done, in the unit of ReadingCost, and how many
// tokens of the window are read.
struct Reading {
  double cost_of_window = 0;
  std::function<WindowScores(std::span<const Token> window, const std::function<void(double, int64_t)>& on_read)> read;
};

// Adds the windows that are missing to `done`, the first ones of the corpus. Throws Cancelled if interrupted, with
// those in `done` and in the file that are finished; std::runtime_error if something fails.
void RunWindows(const Reading& reading, const Corpus& corpus, const RunIdentity& identity,
                const std::string& state_path, const Listener& listener, std::vector<WindowScores>& done);

// The same with the settings of `options` (WindowReader), which are set up if there is anything to read.
void RunWindows(const std::shared_ptr<Model>& model, const Corpus& corpus, const Options& options,
                const RunIdentity& identity, const std::string& state_path, const Listener& listener,
                std::vector<WindowScores>& done);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_RUN_H_
