#include "recorder.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <filesystem>
#include <string>
#include <vector>

#include "recording.h"

namespace qwen_infer {
namespace {

namespace fs = std::filesystem;

class RecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "recorder_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    const topk::Status status =
        ParseSettings("record@3=" + Path(3) + ",record@5=" + Path(5) + ",record_queries=2,record_keys=6", settings_);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(int layer) const { return (folder_ / ("layer" + std::to_string(layer) + ".gguf")).string(); }

  // One head of one number each, whose scale tells the calls apart.
  void Record(int layer, int64_t n_query, int64_t n_key, float scale) {
    topk::AttentionInput input;
    input.n_query = n_query;
    input.n_key = n_key;
    input.d_k = 1;
    input.d_v = 1;
    input.scale = scale;
    for (topk::TensorView* view : {&input.q, &input.k, &input.v}) {
      *view = {numbers_.data(), topk::DataType::kF32, sizeof(float), sizeof(float), 0};
    }
    const topk::Status status = recorder_.Record(input, layer, settings_);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // 0: nothing was recorded.
  float RecordedScale(int layer) const {
    if (!fs::exists(Path(layer))) return 0;
    Recording recording;
    const topk::Status status = ReadRecording(Path(layer), recording);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(recording.layer, layer);
    return recording.input.scale;
  }

  fs::path folder_;
  Settings settings_;
  Recorder recorder_;
  std::vector<float> numbers_ = std::vector<float>(16, 1.0F);
};

TEST_F(RecorderTest, TakesTheFirstCallThatFitsOfEachLayer) {
  Record(3, 2, 5, 1);  // too few keys
  Record(3, 1, 6, 2);  // too few queries
  Record(3, 3, 6, 3);  // too many
  EXPECT_EQ(RecordedScale(3), 0);
  Record(3, 2, 7, 4);
  Record(3, 2, 8, 5);
  Record(4, 2, 7, 6);
  Record(kUnknownLayer, 2, 7, 6);
  EXPECT_EQ(RecordedScale(3), 4);
  EXPECT_EQ(RecordedScale(5), 0);
  Record(5, 2, 6, 7);
  EXPECT_EQ(RecordedScale(5), 7);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
}

TEST_F(RecorderTest, StartsAnewAfterAReset) {
  Record(3, 2, 7, 1);
  recorder_.Reset();
  Record(3, 2, 8, 2);
  EXPECT_EQ(RecordedScale(3), 2);
}

TEST_F(RecorderTest, FilesThatCannotBeWrittenAreNamedBeforehand) {
  EXPECT_TRUE(CheckRecordings(settings_).ok());
  const std::string path = (folder_ / "missing" / "a.gguf").string();
  ASSERT_TRUE(ParseSettings("record@1=" + path, settings_).ok());
  EXPECT_NE(CheckRecordings(settings_).message().find(path), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace qwen_infer
