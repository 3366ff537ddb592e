#include "crossover.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // setenv

#include <filesystem>
#include <fstream>
#include <string>

namespace qwen_infer {
namespace {

const Machine kMachine = {"Some CPU", 4, "1.2.3"};
const CrossoverTable kTable = {kMachine, {{64, 1, 700}, {64, 512, 900}, {128, 1, 500}, {128, 512, 1100}}};

TEST(CrossoverTable, FindsTheNearestHeadSizeThenTheNearestNumberOfQueries) {
  EXPECT_EQ(kTable.Find(64, 1, 1), 700);
  EXPECT_EQ(kTable.Find(64, 4, 1), 700);
  EXPECT_EQ(kTable.Find(80, 2048, 1), 900);
  EXPECT_EQ(kTable.Find(96, 1, 1), 500);
  EXPECT_EQ(kTable.Find(576, 200, 1), 1100);
  EXPECT_EQ(kTable.Find(1, 0, 1), 700);
  EXPECT_EQ(CrossoverTable().Find(64, 1, 1024), 1024);
}

TEST(CrossoverForBudget, GrowsWithTheBudgetButDoesNotShrink) {
  EXPECT_EQ(CrossoverForBudget(700, 256), 700);
  EXPECT_EQ(CrossoverForBudget(700, 1), 700);
  EXPECT_EQ(CrossoverForBudget(700, 512), 1400);
  EXPECT_EQ(CrossoverForBudget(1 << 30, 1 << 30), 1 << 30);
  EXPECT_EQ(CrossoverForBudget(0, 1 << 30), 0);
}

TEST(ParseCrossovers, ReadsBackWhatWasWritten) {
  CrossoverTable table;
  const topk::Status status = ParseCrossovers(FormatCrossovers(kTable), table);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(table.machine, kMachine);
  EXPECT_EQ(FormatCrossovers(table), FormatCrossovers(kTable));
}

TEST(ParseCrossovers, RefusesEverythingElse) {
  const std::string good = FormatCrossovers(kTable);
  CrossoverTable table;
  for (size_t length = 0; length + 2 < good.size(); ++length) {
    EXPECT_FALSE(ParseCrossovers(good.substr(0, length), table).ok()) << length;
  }
  const auto with = [&good](std::string_view old_text, std::string_view new_text) {
    std::string text = good;
    return text.replace(text.find(old_text), old_text.size(), new_text);
  };
  EXPECT_EQ(ParseCrossovers(with("700", "-1"), table).message(), "keys is -1, allowed is 0 to 1073741824");
  for (const char* value : {"1e3", "1073741825", "99999999999999999999", "null", "\"700\"", "[]"}) {
    EXPECT_FALSE(ParseCrossovers(with("700", value), table).ok()) << value;
  }
  EXPECT_FALSE(ParseCrossovers(with("\"head_size\": 64", "\"head_size\": 0"), table).ok());
  EXPECT_FALSE(ParseCrossovers(with("\"queries\": 1", "\"queries\": 0"), table).ok());
  EXPECT_FALSE(ParseCrossovers(with("\"Some CPU\"", "7"), table).ok());
  EXPECT_FALSE(ParseCrossovers("[]", table).ok());
  EXPECT_TRUE(table.entries.empty()) << "changed by a refused text";
}

class LoadCrossoversTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(path_); }

  CrossoverTable LoadText(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return LoadCrossovers(path_, kMachine, warning_);
  }

  std::string path_ = testing::TempDir() + "crossover_test.json";
  std::string warning_;
};

TEST_F(LoadCrossoversTest, TakesAFileOfThisMachine) {
  EXPECT_EQ(LoadText(FormatCrossovers(kTable)).entries.size(), 4U);
  EXPECT_EQ(warning_, "");
}

TEST_F(LoadCrossoversTest, NoFileIsNoReasonToWarn) {
  EXPECT_TRUE(LoadCrossovers(path_, kMachine, warning_).entries.empty());
  EXPECT_TRUE(LoadCrossovers("", kMachine, warning_).entries.empty());
  EXPECT_EQ(warning_, "");
}

TEST_F(LoadCrossoversTest, IgnoresOtherMachinesVersionsAndNumbersOfThreads) {
  for (const Machine& other :
       {Machine{"Other CPU", 4, "1.2.3"}, Machine{"Some CPU", 5, "1.2.3"}, Machine{"Some CPU", 4, "1.2.4"}}) {
    CrossoverTable table = kTable;
    table.machine = other;
    warning_.clear();
    EXPECT_TRUE(LoadText(FormatCrossovers(table)).entries.empty());
    EXPECT_EQ(warning_, path_ +
                            " is ignored: it was measured on another machine or version; `qwen-infer calibrate` "
                            "measures anew");
  }
}

TEST_F(LoadCrossoversTest, IgnoresDamagedFiles) {
  const std::string good = FormatCrossovers(kTable);
  for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2), std::string(1 << 20, '['),
                                 std::string(1 << 17, ' ') + good, std::string("\0\xFF", 2)}) {
    warning_.clear();
    EXPECT_TRUE(LoadText(bad).entries.empty());
    EXPECT_TRUE(warning_.starts_with(path_ + " is ignored: ")) << warning_;
    EXPECT_EQ(warning_.find('\n'), std::string::npos) << warning_;
  }
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_TRUE(LoadCrossovers(path_, kMachine, warning_).entries.empty());
  EXPECT_FALSE(warning_.empty());
}

TEST(CrossoverPath, FollowsTheVariablesOfTheScripts) {
  setenv("HOME", "/home/someone", 1);
  unsetenv("XDG_CACHE_HOME");
  unsetenv("QWEN_INFER_CACHE");
  EXPECT_EQ(CrossoverPath(), "/home/someone/.cache/qwen-infer/crossover.json");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(CrossoverPath(), "/xdg/qwen-infer/crossover.json");
  setenv("QWEN_INFER_CACHE", "/cache", 1);
  EXPECT_EQ(CrossoverPath(), "/cache/crossover.json");
  for (const char* variable : {"QWEN_INFER_CACHE", "XDG_CACHE_HOME", "HOME"}) setenv(variable, "", 1);
  EXPECT_EQ(CrossoverPath(), "");
}

TEST(ThisMachine, IsTheSameEveryTime) {
  EXPECT_EQ(ThisMachine(), ThisMachine());
  EXPECT_FALSE(ThisMachine().processor.empty());
  EXPECT_FALSE(ThisMachine().version.empty());
}

}  // namespace
}  // namespace qwen_infer
