#include "shared/figure_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace qwen_infer {
namespace {

class FigureFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string In(const std::string& name) const { return folder_ + "/" + name; }
  static std::string ContentOf(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_ = ::testing::TempDir() + "figure_files_test";
};

TEST_F(FigureFilesTest, OneFileForTwoReportsIsRefusedHoweverItIsSpelled) {
  const auto check = [](const std::string& json, const std::string& csv) {
    return CheckFigureFiles(std::vector<FigureFile>{{"--json", json, {}}, {"--csv", csv, {}}}).message();
  };
  EXPECT_EQ(check(In("a"), In("b")), "");
  EXPECT_EQ(check(In("a"), ""), "");
  EXPECT_EQ(check("", ""), "");
  EXPECT_NE(check(In("a"), In("a")).find("--json and --csv name the same file, "), std::string::npos);
  EXPECT_NE(check(In("a"), folder_ + "/../figure_files_test/./a"), "");
  std::ofstream(In("a")) << "here";
  std::filesystem::create_symlink(In("a"), In("link"));
  EXPECT_NE(check(In("a"), In("link")), "");
  EXPECT_EQ(check("/dev/null", "/dev/null"), "");
}

TEST_F(FigureFilesTest, WhatCannotBeWrittenIsFoundBefore) {
  const std::vector<FigureFile> files = {{"--json", In("missing/a"), {}}};
  EXPECT_NE(CheckFigureFiles(files).message().find("cannot write " + In("missing/a")), std::string::npos);
}

TEST_F(FigureFilesTest, AnInterruptedRunSavesWhatIsFinishedAndSaysSo) {
  const std::vector<FigureFile> files = {
      {"--json", In("a"), [] { return "one"; }}, {"--csv", "", {}}, {"--markdown", In("b"), [] { return "two"; }}};
  EXPECT_EQ(SaveFinished("interrupted", files, 0), "interrupted: no line was finished, no files were written");
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_EQ(SaveFinished("interrupted", files, 2),
            "interrupted: saved the 2 lines that are finished: " + In("a") + ", " + In("b"));
  EXPECT_EQ(ContentOf(In("a")) + ContentOf(In("b")), "onetwo");
  EXPECT_EQ(SaveFinished("interrupted", {}, 1), "interrupted after the line that is finished");
}

}  // namespace
}  // namespace qwen_infer
