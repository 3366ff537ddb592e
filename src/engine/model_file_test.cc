#include "engine/model_file.h"

#include <ggml-cpp.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "qwen_infer/engine.h"

namespace qwen_infer {
namespace {

std::string Written(const std::string& name, const std::string& content) {
  const std::string path = testing::TempDir() + "model_file_test_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(WhyNoModelTest, TellsWhatTheFileIs) {
  EXPECT_EQ(WhyNoModel("/no/such.gguf"), "there is no such file");
  EXPECT_TRUE(WhyNoModel("Qwen/Qwen3-8B").find("`qwen-infer convert Qwen/Qwen3-8B`") != std::string::npos);
  EXPECT_TRUE(WhyNoModel("/").starts_with("it is a folder; `qwen-infer convert /`"));
  EXPECT_EQ(WhyNoModel(Written("text", "GGU")), "it is not a GGUF file");
  EXPECT_TRUE(WhyNoModel(Written("gguf", "GGUF")).starts_with("the file is damaged"));
}

TEST(FingerprintTest, DiffersWithSizeAndContent) {
  std::string content(5'000'000, 'a');
  const uint64_t first = Fingerprint(Written("a", content));
  EXPECT_EQ(Fingerprint(Written("b", content)), first);
  content.back() = 'b';
  EXPECT_NE(Fingerprint(Written("b", content)), first);
  EXPECT_NE(Fingerprint(Written("b", content + "a")), first);
  EXPECT_NE(Fingerprint(Written("short", "a")), Fingerprint(Written("short", "b")));
  EXPECT_THROW(Fingerprint("/no/such/file"), FileError);
}

TEST(LayerCountTest, IsWhatTheDescriptionSays) {
  const gguf_context_ptr gguf(gguf_init_empty());
  const std::string path = testing::TempDir() + "model_file_test_layers";
  gguf_set_val_str(gguf.get(), "general.architecture", "qwen2");
  ASSERT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), /*only_meta=*/true));
  EXPECT_EQ(LayerCount(path), std::nullopt);
  gguf_set_val_u32(gguf.get(), "qwen2.block_count", 24);
  ASSERT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), /*only_meta=*/true));
  gguf_set_val_u32(gguf.get(), "qwen2.context_length", 32768);
  ASSERT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), /*only_meta=*/true));
  EXPECT_EQ(LayerCount(path), 24);
  EXPECT_EQ(TrainedContext(path), 32768);
  EXPECT_EQ(LayerCount(Written("text", "GGU")), std::nullopt);
  EXPECT_EQ(LayerCount(Written("gguf", "GGUF")), std::nullopt);
  EXPECT_EQ(LayerCount("/no/such/file"), std::nullopt);
}

TEST(HashTest, DependsOnOrder) {
  Hash forward;
  forward.Add("12345678abcdefgh", 16);
  Hash backward;
  backward.Add("abcdefgh12345678", 16);
  EXPECT_NE(forward.value(), backward.value());
}

}  // namespace
}  // namespace qwen_infer
