// The C border: plain structs in, codes out, no exception through.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "topk/attention.h"
#include "topk/backward.h"
#include "topk/topk.h"

struct topk_selection {
  topk::Selection selection;
};

namespace {

topk::TensorView ToView(const topk_tensor& t) {
  return {t.data, static_cast<topk::DataType>(t.type), t.token_stride, t.head_stride, t.batch_stride};
}

template <class Output>
topk::OutputView ToOutputView(const Output& t) {
  return {t.data, t.token_stride, t.head_stride, t.batch_stride};
}

topk::AttentionInput ToInput(const topk_attention_input& in) {
  topk::AttentionInput out;
  out.n_batch = in.n_batch;
  out.n_query = in.n_query;
  out.n_key = in.n_key;
  out.n_head = in.n_head;
  out.n_head_kv = in.n_head_kv;
  out.d_k = in.d_k;
  out.d_v = in.d_v;
  out.q = ToView(in.q);
  out.k = ToView(in.k);
  out.v = ToView(in.v);
  out.mask = {in.mask.data,         static_cast<topk::DataType>(in.mask.type),
              in.mask.n_head,       in.mask.n_batch,
              in.mask.query_stride, in.mask.head_stride,
              in.mask.batch_stride};
  out.causal = in.causal;
  out.scale = in.scale;
  out.softcap = in.softcap;
  out.alibi_max_bias = in.alibi_max_bias;
  out.sink_logits = in.sink_logits;
  out.activation = static_cast<topk::Activation>(in.activation);
  out.dropout_p = in.dropout_p;
  out.dropout_seed = in.dropout_seed;
  return out;
}

// "name=value,name=value" into options.
topk::Status ParseOptions(std::string_view text, topk::TopKOptions& options) {
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return topk::InvalidArgument("option '" + std::string(pair) + "' is not of the form name=value");
    }
    if (topk::Status s = topk::SetOption(options, pair.substr(0, equals), pair.substr(equals + 1)); !s.ok()) return s;
  }
  return {};
}

// C++'s enumerations have fewer bits: check before they are cut off.
topk::Status CheckEnumerations(const topk_attention_input& input) {
  for (const int32_t type : {input.q.type, input.k.type, input.v.type, input.mask.type}) {
    if (type < TOPK_F32 || type > TOPK_Q8_0) {
      return topk::InvalidArgument("type=" + std::to_string(type) + " is no topk_data_type");
    }
  }
  if (input.activation < TOPK_SOFTMAX || input.activation > TOPK_RELU) {
    return topk::InvalidArgument("activation=" + std::to_string(input.activation) + " is no topk_activation");
  }
  return {};
}

topk::Status Run(const topk_attention_input* input, const char* text, const topk_attention_output* output,
                 int n_threads, topk_statistics* statistics) {
  if (input == nullptr || output == nullptr) return topk::InvalidArgument("input and output must not be null");
  if (topk::Status s = CheckEnumerations(*input); !s.ok()) return s;
  topk::TopKOptions options;
  if (topk::Status s = ParseOptions(text == nullptr ? "" : text, options); !s.ok()) return s;
  topk::Statistics counted;
  topk::AttentionOutput out;
  out.out = ToOutputView(*output);
  out.selection = output->selection == nullptr ? nullptr : &output->selection->selection;
  out.statistics = &counted;
  if (topk::Status s = topk::Attention(ToInput(*input), options, out, topk::OpenMpExecutor(n_threads)); !s.ok()) {
    return s;
  }
  if (statistics != nullptr) {
    *statistics = {counted.rows,     counted.dense_rows, counted.keys_seen, counted.keys_kept,  counted.mass_rows,
                   counted.mass_sum, counted.mass_min,   counted.seconds,   counted.keys_scored};
  }
  return {};
}

topk::Status RunBackward(const topk_attention_input* input, const char* text, const topk_selection_view* selection,
                         const topk_tensor* d_out, const topk_gradients* gradients, int n_threads) {
  if (input == nullptr || selection == nullptr || d_out == nullptr || gradients == nullptr) {
    return topk::InvalidArgument("input, selection, d_out and gradients must not be null");
  }
  if (topk::Status s = CheckEnumerations(*input); !s.ok()) return s;
  if (d_out->type != TOPK_F32) return topk::InvalidArgument("d_out.type must be f32");
  if (selection->n_rows < 0 || selection->n_entries < 0 || selection->row_offsets == nullptr ||
      (selection->n_entries > 0 && (selection->keys == nullptr || selection->weights == nullptr))) {
    return topk::InvalidArgument("selection has a count below 0 or an array that is null");
  }
  topk::TopKOptions options;
  if (topk::Status s = ParseOptions(text == nullptr ? "" : text, options); !s.ok()) return s;
  const auto n_entries = static_cast<size_t>(selection->n_entries);
  const topk::SelectionView view = {.row_offsets = {selection->row_offsets, static_cast<size_t>(selection->n_rows) + 1},
                                    .keys = {selection->keys, n_entries},
                                    .weights = {selection->weights, n_entries}};
  return topk::AttentionBackward(ToInput(*input), options, view, ToView(*d_out),
                                 {ToOutputView(gradients->d_q), ToOutputView(gradients->d_k),
                                  ToOutputView(gradients->d_v), gradients->d_scores, gradients->d_scale},
                                 topk::OpenMpExecutor(n_threads));
}

// Runs fn, which returns a Status, and hands that over in C's way.
template <class Fn>
topk_status_code Report(char* message, int64_t message_size, Fn&& fn) {
  topk::Status status;
  try {
    status = fn();
  } catch (const std::exception&) {  // only messages allocate here
    return TOPK_OUT_OF_MEMORY;
  }
  if (message != nullptr && message_size > 0) {
    const size_t length = std::min(status.message().size(), static_cast<size_t>(message_size - 1));
    std::memcpy(message, status.message().data(), length);
    message[length] = '\0';
  }
  return static_cast<topk_status_code>(status.code());
}

}  // namespace

topk_selection* topk_selection_create(void) {
  return new (std::nothrow) topk_selection;  // NOLINT(cppcoreguidelines-owning-memory): the caller of C owns it
}

void topk_selection_destroy(topk_selection* selection) {
  delete selection;  // NOLINT(cppcoreguidelines-owning-memory)
}

topk_selection_view topk_selection_get(const topk_selection* selection) {
  const topk::Selection& s = selection->selection;
  return {s.row_offsets.data(), s.keys.data(), s.weights.data(),
          std::max<int64_t>(1, static_cast<int64_t>(s.row_offsets.size())) - 1, static_cast<int64_t>(s.keys.size())};
}

topk_status_code topk_attention(const topk_attention_input* input, const char* options,
                                const topk_attention_output* output, int n_threads, topk_statistics* statistics,
                                char* message, int64_t message_size) {
  return Report(message, message_size, [&] { return Run(input, options, output, n_threads, statistics); });
}

topk_status_code topk_attention_backward(const topk_attention_input* input, const char* options,
                                         const topk_selection_view* selection, const topk_tensor* d_out,
                                         const topk_gradients* gradients, int n_threads, char* message,
                                         int64_t message_size) {
  return Report(message, message_size,
                [&] { return RunBackward(input, options, selection, d_out, gradients, n_threads); });
}
