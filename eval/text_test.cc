#include "text.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace qwen_infer::eval {
namespace {

namespace fs = std::filesystem;

class TextTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  static std::string Read(const std::vector<std::string>& paths, const std::vector<std::string>& suffixes = {}) {
    Text text;
    const topk::Status status = ReadText(paths, suffixes, text);
    return status.ok() ? text.text : status.message();
  }

  fs::path folder_ = fs::temp_directory_path() / ("eval-text-test-" + std::to_string(getpid()));
};

TEST_F(TextTest, FilesComeInTheOrderOfTheCommandLine) {
  const std::string a = Write("a.txt", "first ");
  const std::string b = Write("b.txt", "second ");
  EXPECT_EQ(Read({b, a}), "second first ");
}

TEST_F(TextTest, FoldersAreReadInTheOrderOfTheirPaths) {
  Write("b.py", "three ");
  Write("a/z.py", "two ");
  Write("a/b/a.py", "one ");
  EXPECT_EQ(Read({folder_.string()}), "one two three ");
}

TEST_F(TextTest, WhatIsNoTextInFoldersIsSkippedAndCounted) {
  Write("a.bin", std::string("\xff\xfe\x00", 3));
  Write("b.txt", "text");
  Write("c.txt", "");
  Write(".hidden", "hidden");
  Write(".git/config", "hidden");
  Text text;
  const std::vector<std::string> paths = {folder_.string()};
  ASSERT_TRUE(ReadText(paths, {}, text).ok());
  EXPECT_EQ(text.text, "text");
  EXPECT_EQ(text.files, 1);
  EXPECT_EQ(text.skipped, 2);
}

TEST_F(TextTest, SuffixesChooseFilesOfFoldersButNotNamedOnes) {
  Write("a.py", "python ");
  Write("b.rst", "prose ");
  Write("c.txt", "notes ");
  EXPECT_EQ(Read({folder_.string()}, {".py", ".rst"}), "python prose ");
  EXPECT_EQ(Read({(folder_ / "c.txt").string()}, {".py"}), "notes ");
}

TEST_F(TextTest, LinksToFoldersAreNotFollowed) {
  Write("a/a.txt", "once");
  fs::create_directory_symlink(folder_ / "a", folder_ / "b");
  EXPECT_EQ(Read({folder_.string()}), "once");
}

TEST_F(TextTest, NamedFilesMustBeText) {
  EXPECT_NE(Read({Write("a.txt", "\xff")}).find("no text in UTF-8"), std::string::npos);
  EXPECT_NE(Read({(folder_ / "missing").string()}).find("cannot read"), std::string::npos);
  const std::string empty = Write("empty.txt", "");
  EXPECT_NE(Read({empty}).find("there is no text in " + empty), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer::eval
