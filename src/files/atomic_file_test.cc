#include "atomic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace qwen_infer {
namespace {

namespace fs = std::filesystem;

// A directory of its own for each test.
class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "atomic_file_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string Path(const char* name) const { return (directory_ / name).string(); }

  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  int Entries() const { return static_cast<int>(std::distance(fs::directory_iterator(directory_), {})); }

  fs::path directory_;
};

TEST_F(AtomicFileTest, WritesAndReplaces) {
  const std::string path = Path("a.json");
  ASSERT_TRUE(WriteFileAtomically(path, "first, and longer").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "second").ok());
  EXPECT_EQ(Read(path), "second");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(AtomicFileTest, CheckingLeavesNothingAndChangesNothing) {
  EXPECT_TRUE(CheckWritable(Path("a.json")).ok());
  EXPECT_EQ(Entries(), 0);
  ASSERT_TRUE(WriteFileAtomically(Path("a.json"), "old").ok());
  EXPECT_TRUE(CheckWritable(Path("a.json")).ok());
  EXPECT_EQ(Read(Path("a.json")), "old");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(AtomicFileTest, FollowsLinks) {
  fs::create_directory(directory_ / "there");
  fs::create_symlink("there/real.json", directory_ / "link.json");
  ASSERT_TRUE(WriteFileAtomically(Path("link.json"), "x").ok());
  EXPECT_TRUE(fs::is_symlink(directory_ / "link.json"));
  EXPECT_EQ(Read(Path("there/real.json")), "x");
}

TEST_F(AtomicFileTest, WritesToAPipeWithoutReplacingIt) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string path = "/dev/fd/" + std::to_string(ends[1]);
  ASSERT_TRUE(CheckWritable(path).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "abc").ok());
  char text[3];
  EXPECT_EQ(read(ends[0], text, 3), 3);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(AtomicFileTest, SaysWhyADeviceTookNothing) {
  ASSERT_TRUE(CheckWritable("/dev/full").ok());
  const topk::Status status = WriteFileAtomically("/dev/full", "x");
  EXPECT_EQ(status.message(), "cannot write /dev/full: No space left on device");
}

TEST_F(AtomicFileTest, NamesThePathThatCannotBeWritten) {
  const std::string missing = Path("missing/a.json");
  for (const topk::Status& status : {CheckWritable(missing), WriteFileAtomically(missing, "x")}) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(missing), std::string::npos) << status.message();
  }
  EXPECT_FALSE(CheckWritable(directory_.string()).ok());
  EXPECT_FALSE(WriteFileAtomically(directory_.string(), "x").ok());
  EXPECT_FALSE(fs::exists(Path("missing")));
  EXPECT_EQ(Entries(), 0);
}

}  // namespace
}  // namespace qwen_infer
