// Files of the format's own making are read; every lie about them is refused.
#include "topk/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "layer/testing/temporary_folder.h"

namespace topk {
namespace {

std::string WithLength(uint64_t length, const std::string& rest) {
  std::string content(sizeof length, '\0');
  std::memcpy(content.data(), &length, sizeof length);
  return content + rest;
}

// A file of this header and as many bytes of data.
std::string FileOf(const std::string& header, size_t data_bytes) {
  return WithLength(header.size(), header + std::string(data_bytes, '\1'));
}

class SafetensorsTest : public ::testing::Test {
 protected:
  void ExpectRefused(const std::string& content, const std::string& part) {
    SafetensorsFile file;
    const std::string path = folder_.Write("bad.safetensors", content);
    const Status status = SafetensorsFile::Open(path, file);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
    EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(part), std::string::npos) << "'" << part << "' is not in: " << status.message();
    EXPECT_TRUE(file.entries().empty());
  }

  testing::TemporaryFolder folder_;
};

TEST_F(SafetensorsTest, ReadsWhatItHasWritten) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<float> b(100'000, 0.5F);  // more than is converted at once
  const NamedTensor tensors[] = {{"a", {2, 3}, a}, {"b \"q\" \xc3\xa4", {100'000}, b}, {"empty", {0, 7}, {}}};
  const std::string path = folder_.Path("x.safetensors");
  ASSERT_EQ(WriteSafetensors(path, tensors).message(), "");
  SafetensorsFile file;
  ASSERT_EQ(SafetensorsFile::Open(path, file).message(), "");
  EXPECT_EQ(file.entries().size(), 3U);
  EXPECT_EQ(file.entries().at("a").dtype, "F32");
  EXPECT_EQ(file.entries().at("a").begin % 8, 0);
  std::vector<float> read;
  ASSERT_EQ(file.Read("b \"q\" \xc3\xa4", std::vector<int64_t>{100'000}, read).message(), "");
  EXPECT_EQ(read, b);
  ASSERT_TRUE(file.Read("a", std::vector<int64_t>{2, 3}, read).ok());
  EXPECT_EQ(read, a);
  ASSERT_TRUE(file.Read("empty", std::vector<int64_t>{0, 7}, read).ok());
  EXPECT_TRUE(read.empty());
}

TEST_F(SafetensorsTest, ConvertsHalvesExactly) {
  // 1.5, -2, and the smallest number below 1 that the type has.
  std::string content = R"({"__metadata__":{"format":"pt"},"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},)"
                        R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[6,12]}})";
  content = WithLength(content.size(), content);
  for (const uint16_t bits : {0x3E00, 0xC000, 0x0001, 0x3FC0, 0xC000, 0x0001}) {
    content.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  SafetensorsFile file;
  ASSERT_EQ(SafetensorsFile::Open(folder_.Write("halves", content), file).message(), "");
  std::vector<float> read;
  ASSERT_TRUE(file.Read("h", std::vector<int64_t>{3}, read).ok());
  EXPECT_EQ(read, (std::vector<float>{1.5F, -2.0F, 0x1p-24F}));
  ASSERT_TRUE(file.Read("b", std::vector<int64_t>{3}, read).ok());
  EXPECT_EQ(read, (std::vector<float>{1.5F, -2.0F, 0x1p-133F}));
}

TEST_F(SafetensorsTest, RefusesTensorsThatAreNotAsAsked) {
  const std::string header = R"({"i":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
                             R"("new":{"dtype":"F4","shape":[2],"data_offsets":[16,17]},)"
                             R"("x":{"dtype":"F32","shape":[2,1],"data_offsets":[17,25]}})";
  SafetensorsFile file;
  ASSERT_EQ(SafetensorsFile::Open(folder_.Write("x", FileOf(header, 25)), file).message(), "");
  std::vector<float> read = {7};
  const auto expect_refused = [&](const char* name, const std::vector<int64_t>& shape, const std::string& part) {
    const Status status = file.Read(name, shape, read);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  };
  expect_refused("y", {2}, "no tensor 'y'");
  expect_refused("i", {2}, "'i' is of type 'I64'; F32, F16 and BF16 are allowed");
  expect_refused("new", {2}, "'new' is of type 'F4'");
  expect_refused("x", {1, 2}, "'x' has the shape [2, 1], but [1, 2] is needed");
  expect_refused("x", {2}, "but [2] is needed");
  EXPECT_EQ(read, std::vector<float>{7});
  std::filesystem::resize_file(folder_.Path("x"), 100);  // cut off after it was opened
  expect_refused("x", {2, 1}, "cannot be read");
}

TEST_F(SafetensorsTest, RefusesFilesThatAreNone) {
  SafetensorsFile file;
  EXPECT_NE(SafetensorsFile::Open(folder_.Path("missing"), file).message().find("no such file"), std::string::npos);
  EXPECT_NE(SafetensorsFile::Open(folder_.Path(""), file).message().find("no regular file"), std::string::npos);
  ASSERT_EQ(mkfifo(folder_.Path("pipe").c_str(), 0600), 0);
  EXPECT_NE(SafetensorsFile::Open(folder_.Path("pipe"), file).message().find("no regular file"), std::string::npos);
  ExpectRefused("", "has 0 bytes");
  ExpectRefused("1234567", "has 7 bytes");
}

TEST_F(SafetensorsTest, RefusesHeadersOfImpossibleLength) {
  ExpectRefused(WithLength(3, "{}"), "claims 3 bytes, where at most 2 are possible");
  ExpectRefused(WithLength(UINT64_MAX, "{}"), "claims 18446744073709551615 bytes");
  ExpectRefused(WithLength(uint64_t{1} << 63, "{}"), "claims 9223372036854775808 bytes");
  // A real file of 200 MB, almost all of it a hole.
  const std::string path = folder_.Write("large", WithLength(150'000'000, "{}"));
  std::filesystem::resize_file(path, 200'000'000);
  SafetensorsFile file;
  EXPECT_NE(SafetensorsFile::Open(path, file).message().find("at most 100000000 are possible"), std::string::npos);
  ExpectRefused(WithLength(0, "{}"), "not valid JSON");
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNoneOfTheFormat) {
  ExpectRefused(FileOf("[]", 0), "no JSON object");
  ExpectRefused(FileOf("{", 0), "not valid JSON");
  ExpectRefused(FileOf(std::string(100'000, '['), 0), "nested");
  ExpectRefused(FileOf(R"({"x":{"a":[[1]]}})", 0), "nested");
  ExpectRefused(FileOf(R"({"x":{},"x":{}})", 0), "'x' stands twice");
  ExpectRefused(FileOf(R"({"x":3})", 0), "'x' has no dtype");
  ExpectRefused(FileOf(R"({"x":{"dtype":5,"shape":[],"data_offsets":[0,4]}})", 4), "'x' has no dtype");
  ExpectRefused(FileOf(R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4), "no shape");
  for (const char* shape : {"4", "[-1]", "[1.0]", "[\"1\"]", "[null]", "[9223372036854775808]"}) {
    ExpectRefused(FileOf(R"({"x":{"dtype":"F32","shape":)" + std::string(shape) + R"(,"data_offsets":[0,4]}})", 4),
                  "no shape");
  }
  for (const char* offsets : {"4", "[]", "[0]", "[0,4,8]", "[0,-4]", "[0,4.0]"}) {
    ExpectRefused(FileOf(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":)" + std::string(offsets) + "}}", 4),
                  "data_offsets");
  }
}

TEST_F(SafetensorsTest, RefusesOffsetsAndSizesThatContradictEachOther) {
  const auto one = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"x":{"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  ExpectRefused(FileOf(one("F32", "[2]", "[0,8]"), 7), "only 7 bytes follow");
  ExpectRefused(FileOf(one("F32", "[1]", "[4,0]"), 4), "ends before it begins");
  ExpectRefused(FileOf(one("F32", "[1]", "[0,9223372036854775807]"), 4), "only 4 bytes follow");
  ExpectRefused(FileOf(one("F32", "[3]", "[0,8]"), 8), "does not fill the 8 bytes");
  ExpectRefused(FileOf(one("F16", "[2]", "[0,8]"), 8), "does not fill");
  ExpectRefused(FileOf(one("I64", "[2]", "[0,8]"), 8), "does not fill");
  ExpectRefused(FileOf(one("F32", "[]", "[0,8]"), 8), "does not fill");
  // Products that wrap to 8 bytes, or 0, in 64 bits.
  ExpectRefused(FileOf(one("F32", "[4611686018427387904,4]", "[0,0]"), 0), "does not fill");
  ExpectRefused(FileOf(one("F32", "[4611686018427387906]", "[0,8]"), 8), "does not fill");
  ExpectRefused(FileOf(one("F32", "[4294967296,4294967296]", "[0,0]"), 0), "does not fill");
  ExpectRefused(FileOf(one("F32", "[1]", "[0,4]"), 8), "the tensors end at byte 4 of the data, but it has 8");
  ExpectRefused(FileOf(one("F32", "[1]", "[4,8]"), 8), "begins at byte 4 of the data, where 0 is due");

  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)") + a +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}";
  };
  ExpectRefused(FileOf(two("[0,8]", "[4,12]"), 12), "'b' begins at byte 4 of the data, where 8 is due");
  ExpectRefused(FileOf(two("[0,8]", "[0,8]"), 8), "overlap");
  ExpectRefused(FileOf(two("[0,8]", "[12,20]"), 20), "gaps");
  SafetensorsFile file;
  EXPECT_EQ(SafetensorsFile::Open(folder_.Write("good", FileOf(two("[8,16]", "[0,8]"), 16)), file).message(), "");
}

TEST_F(SafetensorsTest, MessagesShowNoControlCharactersOfAFile) {
  ExpectRefused(FileOf("{\"\\u001b[31m\":1}", 0), "'?[31m'");
}

TEST_F(SafetensorsTest, SurvivesFilesWithFlippedBytes) {
  const std::vector<float> a(16, 1.0F);
  const NamedTensor tensors[] = {{"a", {4, 4}, a}, {"b", {16}, a}};
  const std::string path = folder_.Path("x");
  ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
  std::string good(std::filesystem::file_size(path), '\0');
  std::ifstream(path, std::ios::binary).read(good.data(), static_cast<std::streamsize>(good.size()));
  std::mt19937_64 random(1);
  int refused = 0;
  constexpr int kFiles = 300;
  for (int i = 0; i < kFiles; ++i) {
    std::string bad = good;
    for (int flips = 0; flips < 1 + i % 3; ++flips) {
      bad[random() % (good.size() - 128)] = static_cast<char>(random());  // length and header; 128 bytes are data
    }
    if (i % 5 == 0) bad.resize(random() % bad.size());
    SafetensorsFile file;
    if (!SafetensorsFile::Open(folder_.Write("flipped", bad), file).ok()) {
      ++refused;
      continue;
    }
    for (const auto& [name, entry] : file.entries()) {
      std::vector<float> read;
      (void)file.Read(name, entry.shape, read);  // may be refused, too
      EXPECT_LE(read.size(), 64U);
    }
  }
  EXPECT_GT(refused, kFiles / 2);
}

TEST_F(SafetensorsTest, WritesNothingThatCouldNotBeRead) {
  const std::vector<float> a = {1, 2};
  const std::string path = folder_.Path("x");
  const auto expect_refused = [&](const std::vector<NamedTensor>& tensors, const std::string& part) {
    const Status status = WriteSafetensors(path, tensors);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    EXPECT_FALSE(std::filesystem::exists(path));
  };
  expect_refused({{"a", {3}, a}}, "'a' of shape [3] has 2 numbers");
  expect_refused({{"a", {2}, a}, {"a", {2}, a}}, "two tensors are named 'a'");
  expect_refused({{"\xff", {2}, a}}, "UTF-8");
  const NamedTensor good[] = {{"a", {2}, a}};
  EXPECT_NE(WriteSafetensors(folder_.Path("no/such/folder"), good).message().find("cannot write"), std::string::npos);
}

}  // namespace
}  // namespace topk
