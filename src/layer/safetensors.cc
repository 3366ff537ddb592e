#include "topk/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "atomic_file.h"
#include "layer/json.h"
#include "layer/product.h"
#include "topk/numeric.h"

namespace topk {

// The format is little-endian; numbers are copied as they stand.
static_assert(std::endian::native == std::endian::little);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kLengthBytes = 8;            // an unsigned integer: the length of the header that follows
constexpr int64_t kMaxHeader = 100'000'000;    // the limit of the format's own library
constexpr int kHeaderDepth = 3;                // {"name": {"shape": [2, 3]}}
constexpr int64_t kConvertedAtOnce = 1 << 16;  // numbers

struct TypeInfo {
  std::string_view name;
  int64_t bytes;
  std::optional<DataType> convertible;
};

constexpr std::array<TypeInfo, 16> kTypes = {{
    {"F32", 4, DataType::kF32},
    {"F16", 2, DataType::kF16},
    {"BF16", 2, DataType::kBF16},
    {"F64", 8, {}},
    {"C64", 8, {}},
    {"F8_E4M3", 1, {}},
    {"F8_E5M2", 1, {}},
    {"I64", 8, {}},
    {"I32", 4, {}},
    {"I16", 2, {}},
    {"I8", 1, {}},
    {"U8", 1, {}},
    {"U64", 8, {}},
    {"U32", 4, {}},
    {"U16", 2, {}},
    {"BOOL", 1, {}},
}};

// Null for types that are newer than this list: only their extent can be checked.
const TypeInfo* FindType(std::string_view name) {
  const auto* type = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeInfo& t) { return t.name == name; });
  return type == kTypes.end() ? nullptr : type;
}

std::string ShapeText(std::span<const int64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}

// Bytes of a tensor; empty if they are beyond 63 bits.
std::optional<int64_t> Bytes(std::vector<int64_t> shape, int64_t bytes) {
  shape.push_back(bytes);
  return Product(shape);
}

std::optional<int64_t> AsCount(const json& value) {
  if (!value.is_number_unsigned()) return {};
  const auto count = value.get<uint64_t>();
  if (count > uint64_t{std::numeric_limits<int64_t>::max()}) return {};
  return static_cast<int64_t>(count);
}

// An array of counts; empty if the value is none.
std::optional<std::vector<int64_t>> AsCounts(const json& value) {
  if (!value.is_array()) return {};
  std::vector<int64_t> counts;
  for (const json& element : value) {
    const std::optional<int64_t> count = AsCount(element);
    if (!count) return {};
    counts.push_back(*count);
  }
  return counts;
}

// One entry, with offsets still relative to the end of the header. `data_bytes` follow the header.
Status ReadEntry(const std::string& name, const json& value, int64_t data_bytes, SafetensorsEntry& entry) {
  const std::string tensor = "tensor " + Quoted(name);
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string()) {
    return InvalidArgument(tensor + " has no dtype");
  }
  entry.dtype = value["dtype"].get<std::string>();
  const auto shape = value.contains("shape") ? AsCounts(value["shape"]) : std::nullopt;
  if (!shape) return InvalidArgument(tensor + " has no shape that is a list of counts");
  entry.shape = *shape;
  const auto offsets = value.contains("data_offsets") ? AsCounts(value["data_offsets"]) : std::nullopt;
  if (!offsets || offsets->size() != 2) return InvalidArgument(tensor + " has no data_offsets [begin, end]");
  entry.begin = (*offsets)[0];
  entry.end = (*offsets)[1];
  const std::string range = "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
  if (entry.begin > entry.end) return InvalidArgument(tensor + " ends before it begins: data_offsets " + range);
  if (entry.end > data_bytes) {
    return InvalidArgument(tensor + " has data_offsets " + range + ", but only " + std::to_string(data_bytes) +
                           " bytes follow the header: the file is cut off or its header is wrong");
  }
  const TypeInfo* type = FindType(entry.dtype);
  if (type == nullptr) return {};
  const std::optional<int64_t> bytes = Bytes(entry.shape, type->bytes);
  if (!bytes || *bytes != entry.end - entry.begin) {
    return InvalidArgument(tensor + " of " + entry.dtype + " " + ShapeText(entry.shape) + " does not fill the " +
                           std::to_string(entry.end - entry.begin) + " bytes of its data_offsets " + range);
  }
  return {};
}

using Entries = std::map<std::string, SafetensorsEntry, std::less<>>;

// The format wants the tensors to cover the data without overlap or gap, so that nothing is hidden in it.
Status CheckCoverage(const Entries& entries, int64_t data_bytes) {
  std::vector<const Entries::value_type*> by_place;
  for (const auto& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  int64_t end = 0;
  for (const auto* entry : by_place) {
    if (entry->second.begin != end) {
      return InvalidArgument("tensor " + Quoted(entry->first) + " begins at byte " +
                             std::to_string(entry->second.begin) + " of the data, where " + std::to_string(end) +
                             " is due: tensors may not overlap or leave gaps");
    }
    end = entry->second.end;
  }
  if (end == data_bytes) return {};
  return InvalidArgument("the tensors end at byte " + std::to_string(end) + " of the data, but it has " +
                         std::to_string(data_bytes) + " bytes");
}

Status ReadHeader(std::ifstream& stream, int64_t file_bytes, Entries& entries) {
  uint64_t length = 0;
  if (file_bytes < kLengthBytes || !stream.read(reinterpret_cast<char*>(&length), kLengthBytes)) {
    return InvalidArgument("it has " + std::to_string(file_bytes) + " bytes, too few for a safetensors file");
  }
  const int64_t most = std::min(kMaxHeader, file_bytes - kLengthBytes);
  if (length > static_cast<uint64_t>(most)) {
    return InvalidArgument("its header claims " + std::to_string(length) + " bytes, where at most " +
                           std::to_string(most) + " are possible: it is cut off or no safetensors file");
  }
  std::string text(length, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(length)))
    return InvalidArgument("its header cannot be read");
  json header;
  if (Status status = ParseJson(text, kHeaderDepth, header); !status.ok()) {
    return {status.code(), "its header is refused: " + status.message()};
  }
  if (!header.is_object()) return InvalidArgument("its header is no JSON object");
  const int64_t data_begin = kLengthBytes + static_cast<int64_t>(length);
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    SafetensorsEntry& entry = entries[name];
    if (Status status = ReadEntry(name, value, file_bytes - data_begin, entry); !status.ok()) return status;
  }
  if (Status status = CheckCoverage(entries, file_bytes - data_begin); !status.ok()) return status;
  for (auto& [name, entry] : entries) {
    entry.begin += data_begin;
    entry.end += data_begin;
  }
  return {};
}

Status CannotRead(const std::string& path, const std::string& reason) {
  return InvalidArgument("cannot read " + path + ": " + reason);
}

}  // namespace

Status SafetensorsFile::Open(const std::string& path, SafetensorsFile& file) {
  try {
    std::error_code error;
    const fs::file_status kind = fs::status(path, error);
    if (kind.type() == fs::file_type::not_found) return CannotRead(path, "there is no such file");
    if (!fs::status_known(kind)) return CannotRead(path, error.message());
    // Pipes and terminals would keep the reader waiting, and have no size to check a header against.
    if (!fs::is_regular_file(kind)) return CannotRead(path, "it is no regular file");
    const auto bytes = static_cast<int64_t>(fs::file_size(path, error));
    if (error) return CannotRead(path, error.message());
    SafetensorsFile opened;
    opened.path_ = path;
    opened.stream_.open(path, std::ios::binary);
    if (!opened.stream_) return CannotRead(path, std::strerror(errno));
    if (Status status = ReadHeader(opened.stream_, bytes, opened.entries_); !status.ok()) {
      return {status.code(), "cannot read " + path + ": " + status.message()};
    }
    file = std::move(opened);
    return {};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "no memory to read the header of " + path};
  }
}

Status SafetensorsFile::Read(std::string_view name, std::span<const int64_t> shape, std::vector<float>& numbers) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return CannotRead(path_, "it has no tensor " + Quoted(name));
  const SafetensorsEntry& entry = found->second;
  const TypeInfo* type = FindType(entry.dtype);
  if (type == nullptr || !type->convertible) {
    return CannotRead(
        path_, "tensor " + Quoted(name) + " is of type " + Quoted(entry.dtype) + "; F32, F16 and BF16 are allowed");
  }
  if (!std::equal(shape.begin(), shape.end(), entry.shape.begin(), entry.shape.end())) {
    return CannotRead(path_, "tensor " + Quoted(name) + " has the shape " + ShapeText(entry.shape) + ", but " +
                                 ShapeText(shape) + " is needed");
  }
  try {
    const int64_t count = (entry.end - entry.begin) / type->bytes;
    std::vector<float> read(static_cast<size_t>(count));
    std::vector<char> block(static_cast<size_t>(std::min(count, kConvertedAtOnce) * type->bytes));
    stream_.clear();
    stream_.seekg(entry.begin);
    for (int64_t i = 0; i < count; i += kConvertedAtOnce) {
      const int64_t n = std::min(kConvertedAtOnce, count - i);
      if (!stream_.read(block.data(), n * type->bytes)) {
        return CannotRead(path_, "tensor " + Quoted(name) + " cannot be read: the file has changed or its disk fails");
      }
      for (int64_t j = 0; j < n; ++j) {
        read[i + j] = ReadNumber(*type->convertible, reinterpret_cast<const uint8_t*>(block.data()), j);
      }
    }
    numbers = std::move(read);
    return {};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "no memory for tensor " + Quoted(name) + " of " + path_};
  }
}

Status WriteSafetensors(const std::string& path, std::span<const NamedTensor> tensors) {
  try {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    int64_t end = 0;
    for (const NamedTensor& tensor : tensors) {
      const auto bytes = static_cast<int64_t>(tensor.numbers.size_bytes());
      if (Bytes(tensor.shape, 4) != bytes) {
        return InvalidArgument("tensor " + Quoted(tensor.name) + " of shape " + ShapeText(tensor.shape) + " has " +
                               std::to_string(tensor.numbers.size()) + " numbers");
      }
      if (header.contains(tensor.name)) return InvalidArgument("two tensors are named " + Quoted(tensor.name));
      header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
      end += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');  // aligns the data
    const uint64_t length = text.size();
    std::string content(kLengthBytes, '\0');
    std::memcpy(content.data(), &length, kLengthBytes);
    content.reserve(kLengthBytes + text.size() + static_cast<size_t>(end));
    content += text;
    for (const NamedTensor& tensor : tensors) {
      content.append(reinterpret_cast<const char*>(tensor.numbers.data()), tensor.numbers.size_bytes());
    }
    return qwen_infer::WriteFileAtomically(path, content);
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "no memory to write " + path};
  } catch (const json::exception&) {  // a name that is not UTF-8
    return InvalidArgument("cannot write " + path + ": names of tensors must be UTF-8");
  }
}

}  // namespace topk
