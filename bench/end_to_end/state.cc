#include "end_to_end/state.h"

#include <ggml.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace qwen_infer::end_to_end_bench {

namespace {

constexpr llama_seq_id kSequence = 0;
constexpr uint32_t kMaxLayers = 1 << 16;  // beyond: not the layout we know

// Takes a byte string apart from its start. What goes beyond its end is refused, and so is all that follows.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  std::span<const uint8_t> Take(uint64_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return {};
    const std::span<const uint8_t> taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  template <typename T>
  T Number() {
    static_assert(std::is_arithmetic_v<T>);
    T value = 0;
    if (const std::span<const uint8_t> bytes = Take(sizeof(T)); good_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  void Refuse() { good_ = false; }
  bool good() const { return good_; }
  bool AtEnd() const { return good_ && rest_.empty(); }
  size_t rest() const { return rest_.size(); }

 private:
  std::span<const uint8_t> rest_;
  bool good_ = true;
};

template <typename T>
void Append(State& state, T value) {
  const size_t begin = state.size();
  state.resize(begin + sizeof(T));
  std::memcpy(state.data() + begin, &value, sizeof(T));
}

// Bytes of an element of V; 0 if it has none of its own.
uint32_t ElementBytes(int32_t type) {
  if (type < 0 || type >= GGML_TYPE_COUNT || ggml_blck_size(static_cast<ggml_type>(type)) != 1) return 0;
  return static_cast<uint32_t>(ggml_type_size(static_cast<ggml_type>(type)));
}

// Appends the columns of a matrix of elements of `size` bytes.
void AppendColumns(State& state, std::span<const uint8_t> rows, uint32_t n_rows, uint32_t n_columns, uint32_t size) {
  const size_t begin = state.size();
  state.resize(begin + rows.size());
  uint8_t* to = state.data() + begin;
  const size_t row_bytes = size_t{n_columns} * size;
  for (uint32_t column = 0; column < n_columns; ++column) {
    const uint8_t* from = rows.data() + size_t{column} * size;
    for (uint32_t row = 0; row < n_rows; ++row, from += row_bytes, to += size) std::memcpy(to, from, size);
  }
}

// Steps over everything before V. Returns the number of layers and, in `cells`, of cells.
uint32_t SkipToValues(Reader& reader, size_t& layout_offset, size_t total, uint32_t& cells) {
  reader.Take(sizeof(uint32_t) + sizeof(llama_seq_id));
  if (reader.Number<uint32_t>() != 1) reader.Refuse();  // one stream
  cells = reader.Number<uint32_t>();
  for (uint32_t i = 0; i < cells && reader.good(); ++i) {
    reader.Take(sizeof(llama_pos));
    if (reader.Number<uint32_t>() != 1 || reader.Number<llama_seq_id>() != kSequence) reader.Refuse();
  }
  layout_offset = total - reader.rest();
  if (reader.Number<uint32_t>() != 0) reader.Refuse();
  const auto layers = reader.Number<uint32_t>();
  if (layers > kMaxLayers) reader.Refuse();
  for (uint32_t i = 0; i < layers && reader.good(); ++i) {
    reader.Number<int32_t>();
    const auto row_bytes = reader.Number<uint64_t>();
    if (row_bytes > reader.rest()) reader.Refuse();  // and the product cannot overflow
    reader.Take(row_bytes * cells);
  }
  return layers;
}

}  // namespace

State SaveState(llama_context& context) {
  State state(llama_state_seq_get_size(&context, kSequence));
  const size_t size = llama_state_seq_get_data(&context, state.data(), state.size(), kSequence);
  if (size == 0 || size > state.size()) throw std::runtime_error("llama.cpp cannot save the KV cache of this model");
  state.resize(size);
  return state;
}

void RestoreState(llama_context& context, std::span<const uint8_t> state) {
  llama_memory_clear(llama_get_memory(&context), /*data=*/false);
  if (llama_state_seq_set_data(&context, state.data(), state.size(), kSequence) == 0) {
    throw std::runtime_error("llama.cpp refused the KV cache that it had saved");
  }
}

std::optional<State> TransposeValues(std::span<const uint8_t> state) {
  Reader reader(state);
  size_t layout_offset = 0;
  uint32_t cells = 0;
  const uint32_t layers = SkipToValues(reader, layout_offset, state.size(), cells);
  if (!reader.good()) return std::nullopt;
  State out;
  out.reserve(state.size());
  out.assign(state.begin(), state.end() - static_cast<std::ptrdiff_t>(reader.rest()));
  constexpr uint32_t kTransposed = 1;
  std::memcpy(out.data() + layout_offset, &kTransposed, sizeof(kTransposed));
  for (uint32_t i = 0; i < layers; ++i) {
    const auto type = reader.Number<int32_t>();
    const auto row_bytes = reader.Number<uint64_t>();
    const uint32_t element_bytes = ElementBytes(type);
    if (!reader.good() || element_bytes == 0 || row_bytes % element_bytes != 0 || row_bytes > reader.rest()) {
      return std::nullopt;
    }
    const std::span<const uint8_t> rows = reader.Take(row_bytes * cells);
    if (!reader.good()) return std::nullopt;
    const auto elements = static_cast<uint32_t>(row_bytes / element_bytes);
    Append(out, type);
    Append(out, element_bytes);
    Append(out, elements);
    AppendColumns(out, rows, cells, elements, element_bytes);
  }
  if (!reader.AtEnd()) return std::nullopt;
  return out;
}

}  // namespace qwen_infer::end_to_end_bench
