#include "recording.h"

#include <ggml.h>
#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

namespace qwen_infer {
namespace {

namespace fs = std::filesystem;

constexpr uint16_t kShown = 0x0000;   // 0 in f16
constexpr uint16_t kHidden = 0xFC00;  // -inf

// Two sequences, 3 queries, 5 keys, 4 heads on 2; K in f16, V in q8_0; every number is another one. Strides as in a
// cache: longer than what is in use.
struct SmallInput {
  SmallInput() {
    const auto count = [](auto& numbers, auto first) {
      for (auto& number : numbers) number = first++;
    };
    count(q, 1.0F);
    count(k, uint16_t{1});
    for (size_t block = 0; block < v.size() / topk::kQ8BlockBytes; ++block) v[block * topk::kQ8BlockBytes] = 1 + block;
    for (size_t row = 0; row < 6; ++row) {
      for (size_t key = 0; key < 8; ++key) mask[8 * row + key] = key < 2 + row % 3 ? kShown : kHidden;
    }
    input.n_batch = 2;
    input.n_query = 3;
    input.n_key = 5;
    input.n_head = 4;
    input.n_head_kv = 2;
    input.d_k = 2;
    input.d_v = 32;
    input.q = {q.data(), topk::DataType::kF32, 32, 8, 96};
    input.k = {k.data(), topk::DataType::kF16, 8, 4, 80};
    input.v = {v.data(), topk::DataType::kQ8_0, 68, 34, 680};
    input.mask = {mask.data(), topk::DataType::kF16, 1, 2, 16, 48, 48};
    input.scale = 0.25F;
    input.softcap = 30.0F;
    input.alibi_max_bias = 8.0F;
    input.sink_logits = sinks.data();
  }

  std::vector<float> q = std::vector<float>(48);
  std::vector<uint16_t> k = std::vector<uint16_t>(80);  // ten cells for five keys
  std::vector<uint8_t> v = std::vector<uint8_t>(1360);
  std::vector<uint16_t> mask = std::vector<uint16_t>(48);
  std::vector<float> sinks = {1, 2, 3, 4};
  topk::AttentionInput input;
};

class RecordingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "recording_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = (folder_ / "layer7.gguf").string();
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);  // says for each bad file where it ended
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void SetBytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // What ReadRecording says; it must name the file.
  std::string Refusal() const {
    Recording recording;
    const topk::Status status = ReadRecording(path_, recording);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), topk::StatusCode::kInvalidArgument);
    EXPECT_TRUE(status.message().starts_with(path_ + ": ")) << status.message();
    return status.message().substr(std::min(status.message().size(), path_.size() + 2));
  }

  fs::path folder_;
  std::string path_;
  SmallInput small_;
};

void ExpectEqualRows(const topk::TensorView& want, const topk::TensorView& got, int64_t n_batch, int64_t n_token,
                     int64_t n_head, int64_t d) {
  ASSERT_EQ(want.type, got.type);
  for (int64_t b = 0; b < n_batch; ++b) {
    for (int64_t t = 0; t < n_token; ++t) {
      for (int64_t h = 0; h < n_head; ++h) {
        EXPECT_EQ(std::memcmp(want.Row(b, t, h), got.Row(b, t, h), topk::RowBytes(want.type, d)), 0)
            << b << " " << t << " " << h;
      }
    }
  }
}

TEST_F(RecordingTest, WhatIsReadIsWhatWasWritten) {
  const topk::AttentionInput& want = small_.input;
  ASSERT_TRUE(WriteRecording(want, 7, path_).ok());
  Recording recording;
  const topk::Status status = ReadRecording(path_, recording);
  ASSERT_TRUE(status.ok()) << status.message();
  const topk::AttentionInput& got = recording.input;
  EXPECT_EQ(recording.layer, 7);
  EXPECT_EQ(got.n_batch, 2);
  EXPECT_EQ(got.n_query, 3);
  EXPECT_EQ(got.n_key, 5);
  EXPECT_EQ(got.n_head, 4);
  EXPECT_EQ(got.n_head_kv, 2);
  EXPECT_EQ(got.d_k, 2);
  EXPECT_EQ(got.d_v, 32);
  EXPECT_EQ(got.scale, 0.25F);
  EXPECT_EQ(got.softcap, 30.0F);
  EXPECT_EQ(got.alibi_max_bias, 8.0F);
  ExpectEqualRows(want.q, got.q, 2, 3, 4, 2);
  ExpectEqualRows(want.k, got.k, 2, 5, 2, 2);
  ExpectEqualRows(want.v, got.v, 2, 5, 2, 32);
  ASSERT_NE(got.mask.data, nullptr);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t query = 0; query < 3; ++query) {
      EXPECT_EQ(std::memcmp(want.mask.Row(b, 0, query), got.mask.Row(b, 0, query), 10), 0) << b << " " << query;
    }
  }
  ASSERT_NE(got.sink_logits, nullptr);
  EXPECT_EQ(got.sink_logits[3], 4.0F);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "something was left behind";
}

TEST_F(RecordingTest, MaskAndSinkLogitsMayBeMissing) {
  small_.input.mask = {};
  small_.input.sink_logits = nullptr;
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  Recording recording;
  ASSERT_TRUE(ReadRecording(path_, recording).ok());
  EXPECT_EQ(recording.input.mask.data, nullptr);
  EXPECT_EQ(recording.input.sink_logits, nullptr);
}

TEST_F(RecordingTest, KeysInUseEndAtTheLastThatAQuerySees) {
  EXPECT_EQ(KeysInUse(small_.input), 4);
  small_.mask[8 + 4] = kShown;
  EXPECT_EQ(KeysInUse(small_.input), 5);
  small_.input.mask = {};
  EXPECT_EQ(KeysInUse(small_.input), 5);
}

TEST_F(RecordingTest, EveryTruncationIsRefused) {
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  const std::string whole = Bytes();
  // The last bytes are padding behind four sink logits.
  const size_t needed = whole.size() - 16;
  for (size_t length = 0; length < needed; ++length) {
    SetBytes(whole.substr(0, length));
    ASSERT_FALSE(Refusal().empty()) << length;
  }
  SetBytes(whole.substr(0, needed - 1));
  EXPECT_EQ(Refusal(), "it ends within the tensor sink_logits: it was cut off");
}

TEST_F(RecordingTest, WhatIsNoRecordingIsRefused) {
  EXPECT_EQ(Refusal(), "No such file or directory");
  SetBytes("hello");
  EXPECT_EQ(Refusal(), "it is no GGUF file, or a damaged one");
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  std::string other = Bytes();
  other.replace(other.find("topk-attention-inputs"), 4, "qwen");
  SetBytes(other);
  EXPECT_EQ(Refusal(), "it holds no inputs of attention; TOPK_ATTENTION=record@N=FILE writes such a file");
  path_ = folder_.string();
  EXPECT_FALSE(Refusal().empty());
}

TEST_F(RecordingTest, NumbersThatAreNotFiniteAreRefused) {
  small_.q[17] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  EXPECT_EQ(Refusal(), "the tensor q has numbers that are not finite");
  small_.q[17] = 0;
  small_.k[3] = kHidden;
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  EXPECT_EQ(Refusal(), "the tensor k has numbers that are not finite");
}

TEST_F(RecordingTest, TensorsThatDoNotFitAreRefused) {
  ASSERT_TRUE(WriteRecording(small_.input, 7, path_).ok());
  const std::string whole = Bytes();
  // The description of a tensor: length of the name, name, number of dimensions (4), then the dimensions.
  const auto with = [&whole](const std::string& name, size_t dimension, int64_t size) {
    std::string bytes = whole;
    const uint64_t length = name.size();
    std::string description(sizeof(length), '\0');
    std::memcpy(description.data(), &length, sizeof(length));
    const size_t at = bytes.find(description + name);
    std::memcpy(bytes.data() + at + sizeof(length) + length + 4 + 8 * dimension, &size, sizeof(size));
    return bytes;
  };
  // Sizes that leave the offsets of the tensors behind it as they are.
  SetBytes(with("k", 1, 1));
  EXPECT_FALSE(Refusal().empty());
  SetBytes(with("sink_logits", 0, 3));
  EXPECT_EQ(Refusal(), "the sink logits do not fit: f32 [3, 1, 1, 1] for q f32 [2, 4, 3, 2]");
  SetBytes(with("mask", 0, 4));
  EXPECT_EQ(Refusal(), "the mask does not fit: f16 [4, 3, 1, 2] for q f32 [2, 4, 3, 2]");
  for (const int64_t size : {int64_t{0}, int64_t{-1}, int64_t{1} << 40, std::numeric_limits<int64_t>::max()}) {
    for (const char* name : {"q", "k", "v", "mask", "sink_logits"}) {
      SetBytes(with(name, 0, size));
      EXPECT_FALSE(Refusal().empty()) << name << " " << size;
    }
  }
}

TEST_F(RecordingTest, AFolderThatIsNotThereIsNamed) {
  const std::string path = (folder_ / "missing" / "a.gguf").string();
  const topk::Status status = WriteRecording(small_.input, 7, path);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
}

}  // namespace
}  // namespace qwen_infer
