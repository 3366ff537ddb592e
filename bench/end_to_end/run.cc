#include "end_to_end/run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "end_to_end/contestant.h"
#include "end_to_end/cost.h"
#include "end_to_end/state.h"
#include "end_to_end/tokens.h"
#include "plugin.h"
#include "shared/interrupted.h"
#include "shared/progress.h"
#include "shared/stopwatch.h"

namespace qwen_infer::end_to_end_bench {

namespace {

// Of normalised squares. The two ways of llama.cpp round differently: 0.0001 to 0.002 on Qwen2.5-0.5B with caches in
// f16, bf16, f32 and q8_0. Logits of a cache that was misread have nothing in common: about 1.
constexpr double kMaxDifference = 0.05;

// A long prefill says this often, in tokens, how far it is.
constexpr int64_t kPrefillStep = 2048;

double NormalisedSquaredDifference(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = double{a[i]} - double{b[i]};
    difference += d * d;
    norm += double{a[i]} * double{a[i]};
  }
  return difference / norm;
}

llama_model_ptr LoadModel(const std::string& path) {
  const llama_model_params params = llama_model_default_params();
  llama_model_ptr model(llama_model_load_from_file(path.c_str(), params));
  if (model == nullptr) throw std::runtime_error("llama.cpp could not load " + path);
  return model;
}

class Comparison {
 public:
  Comparison(const Options& options, const Settings& settings, const std::atomic<bool>& stop, const Listener& listener)
      : options_(options), listener_(listener), pool_(options.threads), model_(LoadModel(options.model)) {
    WarnOfContext();
    const auto add = [&](Way way) {
      contestants_.push_back(std::make_unique<Contestant>(way, *model_, pool_, options, stop));
    };
    // Before our device is registered: contexts as a user of llama.cpp alone has them.
    add(Way::kStockFlash);
    if (ggml_is_quantized(options.type_v)) {
      listener_.say("llama.cpp takes quantised V with flash attention only: no figures without");
    } else {
      add(Way::kStockProducts);
    }
    if (const topk::Status status = RegisterTopK(settings); !status.ok()) throw std::runtime_error(status.message());
    add(Way::kTopK);
    tokens_ = TokensToRead(*llama_model_get_vocab(model_.get()), options.text_file, options.ContextSize());
    progress_ = Progress(TotalCost());
  }

  void Run() {
    for (const int64_t depth : options_.depths) {
      depth_ = depth;
      Prefill();
      CheckStates();
      WarmUp();
      Measure();
    }
  }

 private:
  // llama.cpp only says so in its log, and computes.
  void WarnOfContext() const {
    const int64_t trained = llama_model_n_ctx_train(model_.get());
    if (options_.ContextSize() <= trained) return;
    listener_.say("warning: --n_depth " + std::to_string(options_.depths.back()) + " comes to " +
                  std::to_string(options_.ContextSize()) + " tokens of context, and the model was trained with " +
                  std::to_string(trained) + ": times are good, what it would say there is not");
  }

  Workload WorkloadOf(Kind kind) const {
    return {.kind = kind, .tokens = kind == Kind::kRead ? options_.n_prompt : options_.n_gen, .depth = depth_};
  }

  std::span<const llama_token> Tokens(int64_t begin, int64_t end) const {
    return std::span(tokens_).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  }

  Contestant& TopK() { return *contestants_.back(); }

  double TotalCost() const {
    double total = Cost(Way::kTopK, {.kind = Kind::kRead, .tokens = options_.depths.back(), .depth = 0});
    for (const auto& contestant : contestants_) {
      for (const int64_t depth : options_.depths) {
        const Workload read = {.kind = Kind::kRead, .tokens = options_.n_prompt, .depth = depth};
        const Workload generate = {.kind = Kind::kGenerate, .tokens = options_.n_gen, .depth = depth};
        total += (options_.repetitions + 1) * Cost(contestant->way(), read) +
                 options_.repetitions * Cost(contestant->way(), generate);
      }
    }
    return total;
  }

  void Say(const std::string& what) {
    const std::string left = progress_.Text(stopwatch_.Seconds());
    listener_.say("depth " + std::to_string(depth_) + ": " + what + (left.empty() ? "" : " (" + left + ")"));
  }

  // Takes the cache from the depth before to this one.
  void Prefill() {
    if (depth_ == 0) return;
    Restore(TopK(), filled_);  // without what the passes at the depth before have added
    state_ = {};
    while (filled_ < depth_) {
      const int64_t end = std::min(depth_, filled_ + kPrefillStep);
      Say("prefill, " + std::to_string(filled_) + " tokens are there");
      TopK().Read(Tokens(filled_, end));
      progress_.Add(Cost(Way::kTopK, {.kind = Kind::kRead, .tokens = end - filled_, .depth = filled_}));
      filled_ = end;
    }
    state_ = SaveState(TopK().context());
    transposed_ = {};
    if (!HasProducts()) return;
    if (std::optional<State> transposed = TransposeValues(state_)) {
      transposed_ = std::move(*transposed);
      return;
    }
    listener_.say("the cache of this model cannot be copied to a context without flash attention: no figures without");
    std::erase_if(contestants_, [](const auto& contestant) { return contestant->way() == Way::kStockProducts; });
    progress_ = Progress(TotalCost());
  }

  bool HasProducts() const {
    return std::any_of(contestants_.begin(), contestants_.end(),
                       [](const auto& contestant) { return contestant->way() == Way::kStockProducts; });
  }

  // Gives a contestant the cache of `tokens` tokens, none or those of state_.
  void Restore(Contestant& contestant, int64_t tokens) {
    llama_memory_t memory = llama_get_memory(&contestant.context());
    if (tokens == 0) {
      llama_memory_clear(memory, /*data=*/false);
    } else {
      RestoreState(contestant.context(), contestant.way() == Way::kStockProducts ? transposed_ : state_);
    }
    if (llama_memory_seq_pos_max(memory, 0) + 1 != tokens) {
      throw std::runtime_error("the KV cache does not hold the " + std::to_string(tokens) + " tokens that it should");
    }
  }

  void CheckStates() {
    std::vector<float> expected;
    for (const auto& contestant : contestants_) {
      if (contestant->way() == Way::kTopK) continue;  // differs by what it leaves out
      Restore(*contestant, depth_);
      contestant->Generate(Tokens(depth_, depth_ + 1));
      const std::span<const float> logits = contestant->Logits();
      if (expected.empty()) {
        expected.assign(logits.begin(), logits.end());
      } else if (const double difference = NormalisedSquaredDifference(expected, logits);
                 !(difference <= kMaxDifference)) {
        throw std::runtime_error("llama.cpp's two ways of attention disagree at depth " + std::to_string(depth_) +
                                 " by " + std::to_string(difference) + " of the logits' squares");
      }
    }
  }

  // A way's first pass at a depth touches memory that it never had.
  void WarmUp() {
    Say("warming up");
    const Workload test = WorkloadOf(Kind::kRead);
    ResetStatistics();
    for (const auto& contestant : contestants_) {
      Restore(*contestant, depth_);
      contestant->Read(Tokens(depth_, depth_ + test.tokens));
      progress_.Add(Cost(contestant->way(), test));
    }
    if (Total(GetStatistics()).sums.rows == 0) {
      throw std::runtime_error(
          "top-k attention was not used: llama.cpp gave no attention of this model, with these types of K and V, to "
          "it");
    }
  }

  void Measure() {
    std::array<Seconds, kKinds.size()> seconds;
    const auto report = [&] {
      for (const Kind kind : kKinds) {
        const size_t rounds = FinishedRounds(seconds[IndexOf(kind)]);
        if (rounds > 0) listener_.row(Evaluate(WorkloadOf(kind), seconds[IndexOf(kind)], rounds));
      }
    };
    try {
      for (int round = 0; round < options_.repetitions; ++round) {
        Say("round " + std::to_string(round + 1) + " of " + std::to_string(options_.repetitions));
        for (const Kind kind : kKinds) MeasureRound(WorkloadOf(kind), seconds[IndexOf(kind)]);
      }
    } catch (const Interrupted&) {
      report();
      throw;
    }
    report();
  }

  void MeasureRound(const Workload& test, Seconds& seconds) {
    const std::span<const llama_token> tokens = Tokens(test.depth, test.depth + test.tokens);
    for (const auto& contestant : contestants_) {
      Restore(*contestant, depth_);
      const double time = test.kind == Kind::kRead ? contestant->Read(tokens) : contestant->Generate(tokens);
      seconds[IndexOf(contestant->way())].push_back(time);
      progress_.Add(Cost(contestant->way(), test));
    }
  }

  const Options& options_;
  const Listener& listener_;
  ThreadPool pool_;
  llama_model_ptr model_;
  std::vector<std::unique_ptr<Contestant>> contestants_;  // in the order of a round
  std::vector<llama_token> tokens_;
  int64_t depth_ = 0;
  int64_t filled_ = 0;  // tokens in state_
  State state_;         // of the cache at depth_, with rows of V
  State transposed_;    // with columns of V
  Stopwatch stopwatch_;
  Progress progress_{1};
};

}  // namespace

void RunComparison(const Options& options, const Settings& settings, const std::atomic<bool>& stop,
                   const Listener& listener) {
  listener.say("loading " + options.model);
  Comparison(options, settings, stop, listener).Run();
}

}  // namespace qwen_infer::end_to_end_bench
