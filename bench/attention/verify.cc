#include "attention/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "types.h"

namespace qwen_infer::attention_bench {

namespace {

constexpr int64_t kSampleQueries = 4;

// All of these are for WorstDifference. Ours computes in f32; a dense row at 32K keys was seen to be 4e-5 off.
constexpr double kOurTolerance = 1e-4;
// Scores are rounded to f32, and a weight errs by as much of itself as its score does in all. Counts where scores are
// large: the first layer of Qwen2.5-Coder-0.5B, whose keys have huge biases, has a ScoreBound of 4,661.
constexpr double kScoreRounding = 1.0 / (1 << 23);
// llama.cpp rounds queries to the type of K: up to 0.03 was seen with q8_0, 0.01 with bf16.
constexpr double kStockTolerance = 0.05;
// Those rounded queries change scores by their share of |q| |k|, spread at random over d products: with that first
// layer 0.27 was seen where 2^-11 * 4661 / sqrt(64) is 0.28; this allows twice as much.
double QueryRounding(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F16: return 1.0 / 2048;
    case GGML_TYPE_BF16: return 1.0 / 256;
    case GGML_TYPE_Q8_0: return 1.0 / 128;  // of the largest of 32, which is twice their root mean square or more
    default: return 0;
  }
}
// Its flash attention for few queries also adds f16 values up in f16: a rounding of 2^-11 a key, whose sum wanders off
// with the square root of their number. 0.034 was seen at 1K keys, 0.12 at 32K; this allows twice as much.
constexpr double kF16SumTolerance = 3.0 / 2048;

double ToleranceOf(Method method, const Case& the_case, double score_bound) {
  if (!IsStock(method)) return kOurTolerance + kScoreRounding * score_bound;
  const bool sums_in_f16 = method == Method::kStockFlash && the_case.type == GGML_TYPE_F16;
  const double rounded_queries =
      2 * QueryRounding(the_case.type) * score_bound / std::sqrt(static_cast<double>(the_case.heads.d));
  return kStockTolerance + rounded_queries +
         (sums_in_f16 ? kF16SumTolerance * std::sqrt(static_cast<double>(the_case.n_key)) : 0.0);
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

double ScoreBound(const Sample& sample) {
  const topk::AttentionInput& input = sample.input;
  const auto largest_norm = [](const topk::TensorView& view, int64_t n_token, int64_t n_head, int64_t d) {
    const ggml_to_float_t to_float = ggml_get_type_traits(TypeOf(view.type))->to_float;
    std::vector<float> numbers(static_cast<size_t>(d));
    double largest = 0;
    for (int64_t token = 0; token < n_token; ++token) {
      for (int64_t head = 0; head < n_head; ++head) {
        const uint8_t* row = view.Row(0, token, head);
        if (to_float != nullptr) {
          to_float(row, numbers.data(), d);
        } else {
          std::memcpy(numbers.data(), row, numbers.size() * sizeof(float));  // f32 it is
        }
        largest = std::max(largest, std::inner_product(numbers.begin(), numbers.end(), numbers.begin(), 0.0));
      }
    }
    return std::sqrt(largest);
  };
  return input.scale * largest_norm(input.q, input.n_query, input.n_head, input.d_k) *
         largest_norm(input.k, input.n_key, input.n_head_kv, input.d_k);
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

Verifier::Verifier(const Contest& contest)
    : contest_(contest), sample_(contest.input(0)), score_bound_(ScoreBound(sample_)) {}

const Verifier::Expected& Verifier::ExpectedOf(const topk::TopKOptions& options) {
  const auto keeps_the_same = [&](const Expected& other) {
    return other.options.k == options.k && other.options.crossover == options.crossover;
  };
  const auto known = std::find_if(expected_.begin(), expected_.end(), keeps_the_same);
  if (known != expected_.end()) return *known;
  const topk::AttentionInput& input = sample_.input;
  Expected& expected = expected_.emplace_back();
  expected.options = {.k = options.k, .crossover = options.crossover};
  expected.output.resize(static_cast<size_t>(input.n_query * input.n_head * input.d_v));
  // Where a selection is wanted, no row runs dense.
  std::vector<float> of_selection(expected.output.size());
  const auto compute = [&](std::vector<float>& output, topk::Selection* selection) {
    const topk::Status status =
        topk::ReferenceAttention(input, expected.options, {TightOutput(input, output.data()), selection, nullptr});
    if (!status.ok()) throw std::runtime_error(status.message());
  };
  compute(expected.output, nullptr);
  compute(of_selection, &expected.selection);
  return expected;
}

std::string Verifier::Check(const Contestant& contestant, const topk::Executor& executor) {
  const Case& the_case = contest_.problem().the_case;
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error(the_case.Name() + ": " + std::string(NameOf(contestant.method)) + " " + why);
  };
  const topk::TopKOptions options =
      IsStock(contestant.method) ? topk::TopKOptions{.k = the_case.n_key} : contestant.options;
  const Expected& expected = ExpectedOf(options);
  const int64_t n_numbers = the_case.Rows() * sample_.input.d_v;
  std::fill_n(contestant.output, n_numbers, std::numeric_limits<float>::quiet_NaN());
  contestant.run(0);
  const double difference = WorstDifference(sample_, expected.output, contestant.output);
  const double tolerance = ToleranceOf(contestant.method, the_case, score_bound_);
  const std::string differs =
      "differs from the reference by up to " + Number(difference) + " of its root mean square; ";
  if (IsStock(contestant.method)) {
    const bool is_recorded = the_case.inputs != nullptr;
    if (!std::isfinite(difference) || (difference > tolerance && !is_recorded)) {
      refuse(differs + "allowed are " + Number(tolerance));
    }
    return difference <= tolerance ? ""
                                   : std::string(NameOf(contestant.method)) + " " + differs + Number(tolerance) +
                                         " are expected of its rounding";
  }
  if (!(difference <= tolerance)) refuse(differs + "allowed are " + Number(tolerance));
  topk::Selection selection;
  std::vector<float> output(static_cast<size_t>(n_numbers));
  RunAttention(contest_.input(0), options, output.data(), {.selection = &selection}, executor);
  if (const std::string why = DifferentSelection(sample_, expected.selection, selection); !why.empty()) {
    refuse("does not select the exact set: " + why);
  }
  return "";
}

}  // namespace qwen_infer::attention_bench
