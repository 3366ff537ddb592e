#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "topk/topk.h"

extern "C" topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size);
extern "C" topk_status_code train_two_keys_from_c(float* d_v, topk_selection_view* kept, topk_selection* selection);

namespace {

TEST(CApiTest, ComputesFromC) {
  float out[2] = {-1, -1};
  char message[80] = "untouched";
  EXPECT_EQ(attend_one_key_from_c(out, "k=4,sinks=1", message, sizeof message), TOPK_OK) << message;
  EXPECT_EQ(out[0], 3.0F);
  EXPECT_EQ(out[1], 4.0F);
  EXPECT_STREQ(message, "");
  EXPECT_EQ(attend_one_key_from_c(out, nullptr, nullptr, 0), TOPK_OK);
  EXPECT_EQ(attend_one_key_from_c(out, "k=auto", nullptr, 0), TOPK_OK);
}

TEST(CApiTest, ReportsErrorsAsCodesAndCutsMessages) {
  float out[2] = {-1, -1};
  char message[8];
  EXPECT_EQ(attend_one_key_from_c(out, "k=0", message, sizeof message), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(message), "k=0 is ");
  EXPECT_EQ(attend_one_key_from_c(out, "k", message, sizeof message), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(attend_one_key_from_c(out, "nonsense=1", nullptr, 0), TOPK_INVALID_ARGUMENT);
  EXPECT_EQ(attend_one_key_from_c(out, "k=5,fallback=off", nullptr, 0), TOPK_BUDGET_COVERS_ALL_KEYS);
  EXPECT_EQ(attend_one_key_from_c(out, "k=auto,fallback=off", nullptr, 0), TOPK_BUDGET_COVERS_ALL_KEYS);
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

TEST(CApiTest, TrainsFromC) {
  const std::unique_ptr<topk_selection, decltype(&topk_selection_destroy)> selection(topk_selection_create(),
                                                                                     topk_selection_destroy);
  EXPECT_EQ(topk_selection_get(selection.get()).n_rows, 0);
  float d_v[2] = {-1, -1};
  topk_selection_view kept;
  ASSERT_EQ(train_two_keys_from_c(d_v, &kept, selection.get()), TOPK_OK);
  EXPECT_EQ(d_v[0], 4.0F);
  EXPECT_EQ(d_v[1], 4.0F);
  EXPECT_EQ(kept.n_rows, 1);
  ASSERT_EQ(kept.n_entries, 2);
  EXPECT_EQ(kept.keys[1], 1);
  EXPECT_EQ(kept.weights[1], 0.5F);
}

TEST(CApiTest, RefusesBadBackwardArguments) {
  const topk_attention_input input = {};
  topk_selection_view selection = {};
  topk_tensor d_out = {};
  const topk_gradients gradients = {};
  char message[120];
  const auto expect_refused = [&](const topk_selection_view* view, const char* why) {
    EXPECT_EQ(topk_attention_backward(&input, "", view, &d_out, &gradients, 1, message, sizeof message),
              TOPK_INVALID_ARGUMENT);
    EXPECT_STREQ(message, why);
  };
  expect_refused(nullptr, "input, selection, d_out and gradients must not be null");
  expect_refused(&selection, "selection has a count below 0 or an array that is null");
  const int64_t offset = 0;
  selection.row_offsets = &offset;
  selection.n_entries = 1;
  expect_refused(&selection, "selection has a count below 0 or an array that is null");
  d_out.type = TOPK_F16;
  expect_refused(&selection, "d_out.type must be f32");
}

}  // namespace
