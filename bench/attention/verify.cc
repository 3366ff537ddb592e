#include "attention/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace qwen_infer::attention_bench {

namespace {

constexpr int64_t kSampleQueries = 4;

// All of these are for WorstDifference. Ours computes in f32; a dense row at 32K keys was seen to be 4e-5 off.
constexpr double kOurTolerance = 1e-4;
// llama.cpp rounds queries to the type of K: up to 0.03 was seen with q8_0, 0.01 with bf16.
constexpr double kStockTolerance = 0.05;
// Its flash attention for few queries also adds f16 values up in f16: a rounding of 2^-11 a key, whose sum wanders off
// with the square root of their number. 0.034 was seen at 1K keys, 0.12 at 32K; this allows twice as much.
constexpr double kF16SumTolerance = 3.0 / 2048;

double ToleranceOf(Method method, const Case& the_case) {
  if (!IsStock(method)) return kOurTolerance;
  const bool sums_in_f16 = method == Method::kStockFlash && the_case.type == GGML_TYPE_F16;
  return kStockTolerance + (sums_in_f16 ? kF16SumTolerance * std::sqrt(static_cast<double>(the_case.n_key)) : 0.0);
}

std::string Number(double x) {
  std::ostringstream text;
  text.precision(3);
  text << x;
  return text.str();
}

}  // namespace

Sample::Sample(const topk::AttentionInput& whole) : input(whole) {
  if (whole.n_query <= kSampleQueries) return;
  step = (whole.n_query - 1) / (kSampleQueries - 1);
  input.n_query = kSampleQueries;
  input.q.token_stride *= step;
  input.mask.query_stride *= step;
}

double WorstDifference(const Sample& sample, const std::vector<float>& reference, const float* output) {
  const int64_t query_numbers = sample.input.n_head * sample.input.d_v;
  double worst = 0;
  double squares = 0;
  for (int64_t s = 0; s < sample.input.n_query; ++s) {
    for (int64_t i = 0; i < query_numbers; ++i) {
      const double want = reference[static_cast<size_t>(s * query_numbers + i)];
      const double difference = std::abs(want - output[sample.QueryOf(s) * query_numbers + i]);
      if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, difference);
      squares += want * want;
    }
  }
  return worst / std::sqrt(squares / static_cast<double>(sample.input.n_query * query_numbers));
}

std::string DifferentSelection(const Sample& sample, const topk::Selection& reference, const topk::Selection& whole) {
  const auto row_of = [](const topk::Selection& selection, int64_t row) {
    const auto begin = selection.keys.begin();
    return std::vector<topk::KeyIndex>(begin + selection.row_offsets[row], begin + selection.row_offsets[row + 1]);
  };
  for (int64_t s = 0; s < sample.input.n_query; ++s) {
    for (int64_t head = 0; head < sample.input.n_head; ++head) {
      const auto want = row_of(reference, s * sample.input.n_head + head);
      const auto got = row_of(whole, sample.QueryOf(s) * sample.input.n_head + head);
      if (want == got) continue;
      std::vector<topk::KeyIndex> different;
      std::set_symmetric_difference(want.begin(), want.end(), got.begin(), got.end(), std::back_inserter(different));
      return "query " + std::to_string(sample.QueryOf(s)) + " of head " + std::to_string(head) + " keeps " +
             std::to_string(different.size()) + " other keys than the reference, the first is key " +
             std::to_string(different.front());
    }
  }
  return "";
}

Verifier::Verifier(const Contest& contest, const topk::TopKOptions& options)
    : contest_(contest),
      sample_(contest.input(0)),
      dense_(static_cast<size_t>(sample_.input.n_query * sample_.input.n_head * sample_.input.d_v)),
      top_k_(dense_.size()) {
  const auto compute = [this](const topk::TopKOptions& how, std::vector<float>& out, topk::Selection* selection) {
    const topk::Status status =
        topk::ReferenceAttention(sample_.input, how, {TightOutput(sample_.input, out.data()), selection, nullptr});
    if (!status.ok()) throw std::runtime_error(status.message());
  };
  compute({.k = sample_.input.n_key}, dense_, nullptr);
  compute(options, top_k_, &selection_);
}

void Verifier::Check(const Contestant& contestant, const topk::Executor& executor) const {
  const Case& the_case = contest_.problem().the_case;
  const bool is_top_k = contestant.method == Method::kTopKF32 || contestant.method == Method::kTopKInt8;
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error(the_case.Name() + ": " + std::string(NameOf(contestant.method)) + " " + why);
  };
  contestant.run(0);
  const double difference = WorstDifference(sample_, is_top_k ? top_k_ : dense_, contestant.output);
  const double tolerance = ToleranceOf(contestant.method, the_case);
  if (!(difference <= tolerance)) {
    refuse("differs from the reference by up to " + Number(difference) + " of its root mean square; allowed are " +
           Number(tolerance));
  }
  if (!is_top_k) return;
  topk::Selection selection;
  std::vector<float> output(static_cast<size_t>(the_case.Rows() * sample_.input.d_v));
  RunAttention(contest_.input(0), contestant.options, output.data(), &selection, executor);
  if (const std::string why = DifferentSelection(sample_, selection_, selection); !why.empty()) {
    refuse("does not select the exact set: " + why);
  }
}

}  // namespace qwen_infer::attention_bench
