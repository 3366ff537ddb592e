#include "state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace qwen_infer::eval {
namespace {

namespace fs = std::filesystem;

class StateTest : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }

  std::string Content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  void SetContent(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }

  std::string LoadError(const RunIdentity& run) const {
    std::vector<WindowScores> windows;
    return LoadState(path_, run, windows).message();
  }

  const std::string path_ = (fs::temp_directory_path() / ("eval-state-test-" + std::to_string(getpid()))).string();
  const RunIdentity run_ = {{"model", "1f"}, {"text", "2e"}, {"settings", "k=1"}};
  const std::vector<WindowScores> windows_ = {{{.nll = {1.5F, 0.1F}, .kl = {0, 0}, .agrees = {1, 1}, .seconds = 2},
                                               {.nll = {1.75F, 0.3F},
                                                .kl = {0.25F, 1e-30F},
                                                .agrees = {0, 1},
                                                .seconds = 1,
                                                .attention = {.rows = 10,
                                                              .dense_rows = 1,
                                                              .keys_seen = 1'000'000'000'000,
                                                              .keys_kept = 50,
                                                              .keys_scored = 70,
                                                              .mass_rows = 9,
                                                              .mass_sum = 8.1,
                                                              .mass_min = 0.1,
                                                              .seconds = 0.5}}}};
};

TEST_F(StateTest, EveryBitComesBack) {
  ASSERT_TRUE(SaveState(path_, run_, windows_).ok());
  std::vector<WindowScores> loaded;
  ASSERT_TRUE(LoadState(path_, run_, loaded).ok());
  ASSERT_EQ(loaded.size(), 1U);
  ASSERT_EQ(loaded[0].size(), 2U);
  for (size_t way = 0; way < 2; ++way) {
    const WayScores& got = loaded[0][way];
    const WayScores& want = windows_[0][way];
    EXPECT_EQ(got.nll, want.nll);
    EXPECT_EQ(got.kl, want.kl);
    EXPECT_EQ(got.agrees, want.agrees);
    EXPECT_EQ(got.seconds, want.seconds);
    EXPECT_EQ(got.attention.rows, want.attention.rows);
    EXPECT_EQ(got.attention.dense_rows, want.attention.dense_rows);
    EXPECT_EQ(got.attention.keys_seen, want.attention.keys_seen);
    EXPECT_EQ(got.attention.keys_kept, want.attention.keys_kept);
    EXPECT_EQ(got.attention.keys_scored, want.attention.keys_scored);
    EXPECT_EQ(got.attention.mass_rows, want.attention.mass_rows);
    EXPECT_EQ(got.attention.mass_sum, want.attention.mass_sum);
    EXPECT_EQ(got.attention.mass_min, want.attention.mass_min);
    EXPECT_EQ(got.attention.seconds, want.attention.seconds);
  }
}

TEST_F(StateTest, WithoutAFileNothingIsFinished) {
  std::vector<WindowScores> windows = windows_;
  EXPECT_TRUE(LoadState(path_, run_, windows).ok());
  EXPECT_TRUE(windows.empty());
}

TEST_F(StateTest, AnotherRunIsRefusedWithWhatDiffers) {
  ASSERT_TRUE(SaveState(path_, run_, windows_).ok());
  RunIdentity other = run_;
  other["model"] = "1e";
  other["settings"] = "k=2";
  EXPECT_EQ(LoadError(other), path_ +
                                  " has the windows of another run, which differs in: model, settings: name another "
                                  "folder with --output, or begin anew with --restart");
}

TEST_F(StateTest, EveryOtherLengthIsRefused) {
  ASSERT_TRUE(SaveState(path_, run_, windows_).ok());
  const std::string whole = Content();
  for (size_t size = 0; size < whole.size(); ++size) {
    SetContent(whole.substr(0, size));
    ASSERT_NE(LoadError(run_).find("damaged"), std::string::npos) << size << " bytes";
  }
  SetContent(whole + "x");
  EXPECT_NE(LoadError(run_).find("damaged"), std::string::npos);
}

TEST_F(StateTest, OtherFilesAreRefused) {
  SetContent("{\"format\": 1}");
  EXPECT_NE(LoadError(run_).find("is not the state of a run"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer::eval
