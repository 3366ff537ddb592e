#include "recording.h"

#include <ggml-cpp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "atomic_file.h"
#include "types.h"

namespace qwen_infer {
namespace {

using topk::InvalidArgument;
using topk::Status;

constexpr const char* kArchitectureKey = "general.architecture";
constexpr const char* kArchitecture = "topk-attention-inputs";
constexpr const char* kLayerKey = "topk.layer";
constexpr const char* kScaleKey = "topk.scale";
constexpr const char* kSoftcapKey = "topk.softcap";
constexpr const char* kAlibiKey = "topk.alibi_max_bias";
constexpr size_t kMaxTensors = 5;

// A GGUF file that is being put together: descriptions first, then the bytes.
class Writer {
 public:
  Writer()
      : gguf_(gguf_init_empty()), descriptions_(ggml_init({kMaxTensors * ggml_tensor_overhead(), nullptr, true})) {}

  gguf_context* gguf() { return gguf_.get(); }

  // row(i1, i2, i3) points to the ne[0] numbers there.
  template <typename Row>
  void Add(const char* name, ggml_type type, const std::array<int64_t, GGML_MAX_DIMS>& ne, const Row& row) {
    ggml_tensor* tensor = ggml_new_tensor(descriptions_.get(), type, GGML_MAX_DIMS, ne.data());
    ggml_set_name(tensor, name);
    gguf_add_tensor(gguf_.get(), tensor);
    const size_t row_bytes = ggml_row_size(type, ne[0]);
    data_.reserve(data_.size() + ggml_nbytes(tensor) + gguf_get_alignment(gguf_.get()));
    for (int64_t i3 = 0; i3 < ne[3]; ++i3) {
      for (int64_t i2 = 0; i2 < ne[2]; ++i2) {
        for (int64_t i1 = 0; i1 < ne[1]; ++i1) {
          data_.append(reinterpret_cast<const char*>(row(i1, i2, i3)), row_bytes);
        }
      }
    }
    data_.resize(GGML_PAD(data_.size(), gguf_get_alignment(gguf_.get())));
  }

  std::string Content() const {
    std::string content(gguf_get_meta_size(gguf_.get()), '\0');
    gguf_get_meta_data(gguf_.get(), content.data());
    return content + data_;
  }

 private:
  gguf_context_ptr gguf_;
  ggml_context_ptr descriptions_;
  std::string data_;
};

// A file that is being read. All functions refuse what is missing or of another kind.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  Status Open() {
    std::error_code error;
    file_bytes_ = std::filesystem::file_size(path_, error);  // an error for folders and devices
    if (error) return Refuse(error.message());
    // Descriptions only: a file may claim any size, so memory is asked for after a look at what there is.
    ggml_context* descriptions = nullptr;
    gguf_.reset(gguf_init_from_file(path_.c_str(), {.no_alloc = true, .ctx = &descriptions}));
    descriptions_.reset(descriptions);
    if (gguf_ == nullptr) return Refuse("it is no GGUF file, or a damaged one");
    const int64_t key = Find(kArchitectureKey, GGUF_TYPE_STRING);
    if (key < 0 || std::string_view(gguf_get_val_str(gguf_.get(), key)) != kArchitecture) {
      return Refuse("it holds no inputs of attention; TOPK_ATTENTION=record@N=FILE writes such a file");
    }
    return {};
  }

  Status Refuse(std::string_view why) const { return InvalidArgument(path_ + ": " + std::string(why)); }

  Status Number(const char* name, float& out) const {
    const int64_t key = Find(name, GGUF_TYPE_FLOAT32);
    if (key < 0) return Refuse(std::string("the number ") + name + " is missing");
    out = gguf_get_val_f32(gguf_.get(), key);
    return {};
  }

  Status Layer(int& out) const {
    const int64_t key = Find(kLayerKey, GGUF_TYPE_INT32);
    if (key < 0) return Refuse(std::string("the number ") + kLayerKey + " is missing");
    out = gguf_get_val_i32(gguf_.get(), key);
    return {};
  }

  // The description of a tensor whose bytes are all in the file; null if there is no such tensor.
  Status Tensor(const char* name, const ggml_tensor*& out) const {
    out = nullptr;
    const int64_t id = gguf_find_tensor(gguf_.get(), name);
    if (id < 0) return {};
    const size_t begin = DataOffset(id);
    const size_t bytes = gguf_get_tensor_size(gguf_.get(), id);
    if (begin > file_bytes_ || bytes > file_bytes_ - begin) {
      return Refuse(std::string("it ends within the tensor ") + name + ": it was cut off");
    }
    out = ggml_get_tensor(descriptions_.get(), name);
    return {};
  }

  // All tensors' bytes, and where in them a tensor begins.
  Status Bytes(std::unique_ptr<uint8_t[]>& out) const {  // NOLINT(*-avoid-c-arrays)
    const size_t begin = gguf_get_data_offset(gguf_.get());
    const size_t bytes = file_bytes_ - begin;
    out.reset(new (std::nothrow) uint8_t[bytes]);  // NOLINT(*-avoid-c-arrays)
    if (out == nullptr) return Refuse("there is no memory for its " + std::to_string(bytes) + " bytes");
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(begin));
    file.read(reinterpret_cast<char*>(out.get()), static_cast<std::streamsize>(bytes));
    return file ? Status() : Refuse("it cannot be read");
  }
  size_t OffsetOf(const ggml_tensor& tensor) const {
    return gguf_get_tensor_offset(gguf_.get(), gguf_find_tensor(gguf_.get(), tensor.name));
  }

 private:
  int64_t Find(const char* name, gguf_type type) const {
    const int64_t key = gguf_find_key(gguf_.get(), name);
    return key >= 0 && gguf_get_kv_type(gguf_.get(), key) == type ? key : -1;
  }
  size_t DataOffset(int64_t id) const {
    return gguf_get_data_offset(gguf_.get()) + gguf_get_tensor_offset(gguf_.get(), id);
  }

  std::string path_;
  uintmax_t file_bytes_ = 0;
  gguf_context_ptr gguf_;
  ggml_context_ptr descriptions_;
};

struct Tensors {
  const ggml_tensor* q;
  const ggml_tensor* k;
  const ggml_tensor* v;
  const ggml_tensor* mask;
  const ggml_tensor* sink_logits;
};

std::string ShapeOf(const ggml_tensor& tensor) {
  std::string text = ggml_type_name(tensor.type);
  text += " [";
  for (int i = 0; i < GGML_MAX_DIMS; ++i) text.append(i == 0 ? "" : ", ").append(std::to_string(tensor.ne[i]));
  return text + "]";
}

// Empty if the tensors fit together.
std::string WhyNoInputs(const Tensors& tensors) {
  const auto [q, k, v, mask, sink_logits] = tensors;
  if (q == nullptr || k == nullptr || v == nullptr) return "one of the tensors q, k and v is missing";
  const auto is = [](const ggml_tensor* tensor, ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3) {
    return tensor->type == type && tensor->ne[0] == ne0 && tensor->ne[1] == ne1 && tensor->ne[2] == ne2 &&
           tensor->ne[3] == ne3;
  };
  const int64_t d_k = q->ne[0];
  const int64_t n_head = q->ne[1];
  const int64_t n_query = q->ne[2];
  const int64_t n_batch = q->ne[3];
  const int64_t n_head_kv = k->ne[1];
  const int64_t n_key = k->ne[2];
  const int64_t d_v = v->ne[0];
  const bool sound = q->type == GGML_TYPE_F32 && DataTypeOf(k->type) && DataTypeOf(v->type) && d_k >= 1 &&
                     d_k <= topk::kMaxHeadSize && d_v >= 1 && d_v <= topk::kMaxHeadSize && n_query >= 1 &&
                     n_query <= topk::kMaxKeys && n_key >= 1 && n_key <= topk::kMaxKeys && n_batch >= 1 &&
                     n_head_kv >= 1 && n_head >= 1 && n_head % n_head_kv == 0 &&
                     is(k, k->type, d_k, n_head_kv, n_key, n_batch) && is(v, v->type, d_v, n_head_kv, n_key, n_batch);
  if (!sound) return "q, k and v do not fit: " + ShapeOf(*q) + ", " + ShapeOf(*k) + ", " + ShapeOf(*v);
  if (mask != nullptr && (!is(mask, GGML_TYPE_F16, n_key, n_query, mask->ne[2], mask->ne[3]) || mask->ne[2] < 1 ||
                          mask->ne[3] < 1 || n_head % mask->ne[2] != 0 || n_batch % mask->ne[3] != 0)) {
    return "the mask does not fit: " + ShapeOf(*mask) + " for q " + ShapeOf(*q);
  }
  if (sink_logits != nullptr && !is(sink_logits, GGML_TYPE_F32, n_head, 1, 1, 1)) {
    return "the sink logits do not fit: " + ShapeOf(*sink_logits) + " for q " + ShapeOf(*q);
  }
  return "";
}

topk::TensorView ViewOf(const ggml_tensor& tensor, const uint8_t* data) {
  return {data, DataTypeOf(tensor.type).value_or(topk::DataType::kF32), static_cast<int64_t>(tensor.nb[2]),
          static_cast<int64_t>(tensor.nb[1]), static_cast<int64_t>(tensor.nb[3])};
}

bool IsHidden(const uint8_t* mask_number) {
  constexpr uint16_t kMinusInfinity = 0xFC00;  // in f16
  uint16_t bits = 0;
  std::memcpy(&bits, mask_number, sizeof(bits));
  return bits == kMinusInfinity;
}

}  // namespace

Status WriteRecording(const topk::AttentionInput& input, int layer, const std::string& path) {
  Writer writer;
  gguf_set_val_str(writer.gguf(), kArchitectureKey, kArchitecture);
  gguf_set_val_i32(writer.gguf(), kLayerKey, layer);
  gguf_set_val_f32(writer.gguf(), kScaleKey, input.scale);
  gguf_set_val_f32(writer.gguf(), kSoftcapKey, input.softcap);
  gguf_set_val_f32(writer.gguf(), kAlibiKey, input.alibi_max_bias);
  const auto add = [&](const char* name, const topk::TensorView& view, int64_t d, int64_t n_head, int64_t n_token) {
    writer.Add(name, TypeOf(view.type), {d, n_head, n_token, input.n_batch},
               [&view](int64_t head, int64_t token, int64_t batch) { return view.Row(batch, token, head); });
  };
  add("q", input.q, input.d_k, input.n_head, input.n_query);
  add("k", input.k, input.d_k, input.n_head_kv, input.n_key);
  add("v", input.v, input.d_v, input.n_head_kv, input.n_key);
  if (const topk::MaskView& mask = input.mask; mask.data != nullptr) {
    writer.Add("mask", TypeOf(mask.type), {input.n_key, input.n_query, mask.n_head, mask.n_batch},
               [&mask](int64_t query, int64_t head, int64_t batch) { return mask.Row(batch, head, query); });
  }
  if (input.sink_logits != nullptr) {
    writer.Add("sink_logits", GGML_TYPE_F32, {input.n_head, 1, 1, 1},
               [&input](int64_t, int64_t, int64_t) { return input.sink_logits; });
  }
  return WriteFileAtomically(path, writer.Content());
}

Status ReadRecording(const std::string& path, Recording& out) {
  Reader reader(path);
  Tensors tensors = {};
  Recording read;
  topk::AttentionInput& input = read.input;
  Status status = reader.Open();
  const auto then = [&status](const auto& step) {
    if (status.ok()) status = step();
  };
  then([&] { return reader.Layer(read.layer); });
  then([&] { return reader.Number(kScaleKey, input.scale); });
  then([&] { return reader.Number(kSoftcapKey, input.softcap); });
  then([&] { return reader.Number(kAlibiKey, input.alibi_max_bias); });
  then([&] { return reader.Tensor("q", tensors.q); });
  then([&] { return reader.Tensor("k", tensors.k); });
  then([&] { return reader.Tensor("v", tensors.v); });
  then([&] { return reader.Tensor("mask", tensors.mask); });
  then([&] { return reader.Tensor("sink_logits", tensors.sink_logits); });
  then([&] {
    const std::string why = WhyNoInputs(tensors);
    return why.empty() ? Status() : reader.Refuse(why);
  });
  then([&] { return reader.Bytes(read.memory); });
  if (!status.ok()) return status;

  const auto data_of = [&](const ggml_tensor* tensor) { return read.memory.get() + reader.OffsetOf(*tensor); };
  for (const ggml_tensor* tensor : {tensors.q, tensors.k, tensors.v}) {
    if (ggml_validate_row_data(tensor->type, data_of(tensor), ggml_nbytes(tensor))) continue;
    return reader.Refuse(std::string("the tensor ") + tensor->name + " has numbers that are not finite");
  }
  input.n_batch = tensors.q->ne[3];
  input.n_query = tensors.q->ne[2];
  input.n_key = tensors.k->ne[2];
  input.n_head = tensors.q->ne[1];
  input.n_head_kv = tensors.k->ne[1];
  input.d_k = tensors.q->ne[0];
  input.d_v = tensors.v->ne[0];
  input.q = ViewOf(*tensors.q, data_of(tensors.q));
  input.k = ViewOf(*tensors.k, data_of(tensors.k));
  input.v = ViewOf(*tensors.v, data_of(tensors.v));
  if (const ggml_tensor* mask = tensors.mask; mask != nullptr) {
    input.mask = {data_of(mask),
                  topk::DataType::kF16,
                  mask->ne[2],
                  mask->ne[3],
                  static_cast<int64_t>(mask->nb[1]),
                  static_cast<int64_t>(mask->nb[2]),
                  static_cast<int64_t>(mask->nb[3])};
  }
  if (tensors.sink_logits != nullptr) {
    input.sink_logits = reinterpret_cast<const float*>(data_of(tensors.sink_logits));
  }
  out = std::move(read);
  return {};
}

int64_t KeysInUse(const topk::AttentionInput& input) {
  const topk::MaskView& mask = input.mask;
  if (mask.data == nullptr) return input.n_key;
  int64_t in_use = 0;
  for (int64_t batch = 0; batch < mask.n_batch; ++batch) {
    for (int64_t head = 0; head < mask.n_head; ++head) {
      for (int64_t query = 0; query < input.n_query; ++query) {
        const uint8_t* row = mask.Row(batch, head, query);
        int64_t seen = input.n_key;
        while (seen > in_use && IsHidden(row + 2 * (seen - 1))) --seen;
        in_use = std::max(in_use, seen);
      }
    }
  }
  return in_use;
}

}  // namespace qwen_infer
