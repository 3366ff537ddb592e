#include <gtest/gtest.h>

#include <string>

#include "topk/topk.h"

extern "C" topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size);

namespace {

TEST(CApiTest, ComputesFromC) {
  float out[2] = {-1, -1};
  char message[80] = "untouched";
  EXPECT_EQ(attend_one_key_from_c(out, "k=4,sinks=1", message, sizeof message), TOPK_OK) << message;
  EXPECT_EQ(out[0], 3.0F);
  EXPECT_EQ(out[1], 4.0F);
  EXPECT_STREQ(message, "");
  EXPECT_EQ(attend_one_key_from_c(out, nullptr, nullptr, 0), TOPK_OK);
}

TEST(CApiTest, ReportsErrorsAsCodesAndCutsMessages) {
  float out[2] = {-1, -1};
  char message[8];
  EXPECT_EQ(attend_one_key_from_c(out, "k=0", message, sizeof message), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(message), "k=0 is ");
  EXPECT_EQ(attend_one_key_from_c(out, "k", message, sizeof message), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(attend_one_key_from_c(out, "nonsense=1", nullptr, 0), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(attend_one_key_from_c(out, "k=5,fallback=off", nullptr, 0), TOPK_BUDGET_COVERS_ALL_KEYS);
  EXPECT_EQ(out[0], -1.0F);
  EXPECT_EQ(topk_attention(nullptr, "", nullptr, 1, nullptr, message, sizeof message), TOPK_INVALID_ARGUMENT);
}

TEST(CApiTest, RefusesTypesThatAreNone) {
  for (int type : {-1, 4, 256}) {
    topk_attention_input input = {};
    input.k.type = type;
    const topk_attention_output output = {};
    char message[80];
    EXPECT_EQ(topk_attention(&input, "", &output, 1, nullptr, message, sizeof message), TOPK_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(message), "type=" + std::to_string(type) + " is no topk_data_type");
  }
}

}  // namespace
