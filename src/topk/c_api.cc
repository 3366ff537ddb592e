// The C border: plain structs in, codes out, no exception through.
#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include "topk/attention.h"
#include "topk/topk.h"

namespace {

topk::TensorView ToView(const topk_tensor& t) {
  return {t.data, static_cast<topk::DataType>(t.type), t.token_stride, t.head_stride, t.batch_stride};
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

topk::Status Run(const topk_attention_input* input, const char* text, const topk_attention_output* output,
                 int n_threads, topk_statistics* statistics) {
  if (input == nullptr || output == nullptr) return topk::InvalidArgument("input and output must not be null");
  // topk::DataType has fewer bits: check before they are cut off.
  for (const int32_t type : {input->q.type, input->k.type, input->v.type, input->mask.type}) {
    if (type < TOPK_F32 || type > TOPK_Q8_0) {
      return topk::InvalidArgument("type=" + std::to_string(type) + " is no topk_data_type");
    }
  }
  topk::TopKOptions options;
  if (topk::Status s = ParseOptions(text == nullptr ? "" : text, options); !s.ok()) return s;
  topk::Statistics counted;
  topk::AttentionOutput out;
  out.out = {output->data, output->token_stride, output->head_stride, output->batch_stride};
  out.statistics = &counted;
  if (topk::Status s = topk::Attention(ToInput(*input), options, out, topk::OpenMpExecutor(n_threads)); !s.ok()) {
    return s;
  }
  if (statistics != nullptr) {
    *statistics = {counted.rows,      counted.dense_rows, counted.keys_seen, counted.keys_kept,
                   counted.mass_rows, counted.mass_sum,   counted.mass_min,  counted.seconds};
  }
  return {};
}

}  // namespace

topk_status_code topk_attention(const topk_attention_input* input, const char* options,
                                const topk_attention_output* output, int n_threads, topk_statistics* statistics,
                                char* message, int64_t message_size) {
  topk::Status status;
  try {
    status = Run(input, options, output, n_threads, statistics);
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
