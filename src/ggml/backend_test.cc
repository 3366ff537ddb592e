// The backend as ggml sees it: through ggml's own functions, in-process.
#include "backend.h"

#include <ggml-alloc.h>
#include <ggml-cpp.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "c_api.h"
#include "plugin.h"
#include "recording.h"
#include "tensors_for_test.h"

namespace qwen_infer {
namespace {

class BackendTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const topk::Status status = RegisterTopK("k=2");
    ASSERT_TRUE(status.ok()) << status.message();
  }

  void SetUp() override {
    device_ = ggml_backend_dev_by_name(kBackendName);
    ASSERT_NE(device_, nullptr);
    backend_.reset(ggml_backend_dev_init(device_, nullptr));
    ASSERT_NE(backend_, nullptr);
    Set("k=2");
    ResetStatistics();
  }

  static void Set(const char* text) {
    Settings settings;
    ASSERT_TRUE(ParseSettings(text, settings).ok());
    ASSERT_TRUE(SetSettings(settings).ok());
  }

  template <typename Function>
  Function Proc(const char* name) {
    return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device_), name));
  }

  // One query head and one dimension; keys score 0, 1, ..., n_key - 1 and key j has the value 10 j. In layer 3.
  ggml_tensor* NewCountingAttention(int64_t n_key) {
    ggml_tensor* op = NewAttention(context_.get(), {.d_k = 1,
                                                    .d_v = 1,
                                                    .n_query = 1,
                                                    .n_key = n_key,
                                                    .n_head = 1,
                                                    .n_head_kv = 1,
                                                    .type_k = GGML_TYPE_F32,
                                                    .type_v = GGML_TYPE_F32});
    static_cast<float*>(op->src[0]->data)[0] = 1.0F;
    for (int64_t j = 0; j < n_key; ++j) {
      static_cast<float*>(op->src[1]->data)[j] = static_cast<float>(j);
      static_cast<float*>(op->src[2]->data)[j] = 10.0F * static_cast<float>(j);
    }
    static_cast<float*>(op->data)[0] = -1.0F;
    return op;
  }

  ggml_status Compute(ggml_tensor* op) {
    ggml_cgraph* graph = ggml_new_graph(context_.get());
    ggml_build_forward_expand(graph, op);
    return ggml_backend_graph_compute(backend_.get(), graph);
  }

  static float Result(const ggml_tensor* op) { return *static_cast<const float*>(op->data); }

  ggml_context_ptr context_ = NewContext(true);
  ggml_backend_dev_t device_ = nullptr;
  ggml_backend_ptr backend_;
};

// softmax over the two best scores, n - 1 and n - 2, of values 10 (n - 1) and 10 (n - 2).
float BestTwoOf(int64_t n_key) {
  return static_cast<float>((10.0 * (n_key - 1) * std::exp(1.0) + 10.0 * (n_key - 2)) / (std::exp(1.0) + 1.0));
}

TEST_F(BackendTest, DeviceIsAnAcceleratorInTheCpusMemory) {
  EXPECT_EQ(ggml_backend_dev_type(device_), GGML_BACKEND_DEVICE_TYPE_ACCEL);
  EXPECT_STREQ(ggml_backend_dev_name(device_), "TOPK");
  EXPECT_EQ(ggml_backend_dev_buffer_type(device_), ggml_backend_cpu_buffer_type());
  EXPECT_TRUE(ggml_backend_dev_supports_buft(device_, ggml_backend_cpu_buffer_type()));
  ggml_backend_dev_props props;
  ggml_backend_dev_get_props(device_, &props);
  EXPECT_TRUE(props.caps.mmap_support) << "or weights are no longer mapped from the file";
  EXPECT_EQ(props.memory_total, 0U);
}

TEST_F(BackendTest, ClaimsAttentionAndNoOpsOnly) {
  ggml_tensor* op = NewCountingAttention(4);
  EXPECT_TRUE(ggml_backend_dev_supports_op(device_, op));
  EXPECT_TRUE(ggml_backend_dev_supports_op(device_, op->src[1])) << "a view";
  EXPECT_FALSE(ggml_backend_dev_supports_op(device_, ggml_add(context_.get(), op, op)));
  EXPECT_FALSE(ggml_backend_dev_supports_op(device_, ggml_mul_mat(context_.get(), op->src[1], op->src[0])));
}

TEST_F(BackendTest, KeepsTheBestKeysAndCountsThemForTheLayer) {
  ggml_tensor* op = NewCountingAttention(8);
  Set("k=2,crossover=0");
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_NEAR(Result(op), BestTwoOf(8), 1e-4);
  const std::vector<LayerStatistics> layers = GetStatistics();
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].layer, 3);
  EXPECT_EQ(layers[0].calls, 1);
  EXPECT_EQ(layers[0].sums.rows, 1);
  EXPECT_EQ(layers[0].sums.keys_seen, 8);
  EXPECT_EQ(layers[0].sums.keys_kept, 2);
  EXPECT_EQ(CurrentStatisticsJson()["layers"][0]["keys_kept"], 2);
}

TEST_F(BackendTest, ReadsOnlyTheKeysThatASparseMaskLeavesWhateverTheOpPromises) {
  constexpr int64_t kKeys = 8192;
  constexpr int64_t kVisible = kKeys / 16;
  Set("k=16,crossover=0,mass=off");
  for (const int64_t n_query : {1, 40}) {
    ggml_tensor* built = NewAttention(context_.get(), {.d_k = 16,
                                                       .d_v = 16,
                                                       .n_query = n_query,
                                                       .n_key = kKeys,
                                                       .n_head = 4,
                                                       .n_head_kv = 1,
                                                       .type_k = GGML_TYPE_F16});
    ggml_tensor* mask = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F16, kKeys, n_query);
    auto* bits = static_cast<ggml_fp16_t*>(mask->data);
    std::fill_n(bits, kKeys * n_query, ggml_fp32_to_fp16(-INFINITY));
    for (int64_t j = 0; j < kKeys * n_query; j += kKeys / kVisible) bits[j] = ggml_fp32_to_fp16(0.0F);
    for (ggml_tensor* operand : {built->src[0], built->src[1]->view_src, built->src[2]->view_src}) {
      for (int64_t i = 0; i < ggml_nelements(operand); ++i) {
        const auto number = static_cast<float>(i * 7919 % 101) / 101.0F - 0.5F;
        if (operand->type == GGML_TYPE_F32) {
          static_cast<float*>(operand->data)[i] = number;
        } else {
          static_cast<ggml_fp16_t*>(operand->data)[i] = ggml_fp32_to_fp16(number);
        }
      }
    }
    std::vector<float> first;
    for (const int n_kv_max : {0, static_cast<int>(kVisible), 1, static_cast<int>(kKeys)}) {  // none, true, false, idle
      ggml_tensor* op =
          ggml_flash_attn_ext(context_.get(), built->src[0], built->src[1], built->src[2], mask, 1.0F, 0.0F, 0.0F);
      ggml_flash_attn_ext_set_n_kv_max(op, n_kv_max);
      ResetStatistics();
      ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
      const topk::Statistics sums = GetStatistics()[0].sums;
      EXPECT_EQ(sums.keys_seen, sums.rows * kVisible) << n_kv_max;
      EXPECT_EQ(sums.keys_scored, sums.rows * kVisible) << "a scan scores all between the first and the last";
      const auto* numbers = static_cast<const float*>(op->data);
      std::vector<float> output(numbers, numbers + ggml_nelements(op));
      if (first.empty()) first = output;
      for (size_t i = 0; i < output.size(); ++i) ASSERT_NEAR(output[i], first[i], 1e-5F) << n_kv_max;
    }
  }
}

TEST_F(BackendTest, SavesTheInputsOfALayerBeforeItComputes) {
  const std::string path = ::testing::TempDir() + "backend_test.gguf";
  std::filesystem::remove(path);
  Set(("k=2,record_queries=1,record@3=" + path).c_str());
  ggml_tensor* op = NewCountingAttention(8);
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  Recording recording;
  const topk::Status status = ReadRecording(path, recording);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(recording.layer, 3);
  EXPECT_EQ(recording.input.n_key, 8);
  EXPECT_EQ(*reinterpret_cast<const float*>(recording.input.v.Row(0, 7, 0)), 70.0F);
  std::filesystem::remove(path);

  const auto set_settings = Proc<topk_set_settings_t>("topk_set_settings");
  std::array<char, 200> message = {};
  EXPECT_EQ(set_settings("record@3=/nowhere/a.gguf", message.data(), message.size()), 1);
  EXPECT_NE(std::string(message.data()).find("cannot write /nowhere/a.gguf"), std::string::npos) << message.data();
}

TEST_F(BackendTest, UsesTheSettingsOfTheOpsLayer) {
  ggml_tensor* op = NewCountingAttention(8);
  Set("k=8,k@3=1,crossover=0");
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_FLOAT_EQ(Result(op), 70.0F);
  Set("k=8,k@2=1,k@4-9=1,crossover=0");
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_LT(Result(op), 69.0F);
}

TEST_F(BackendTest, WarnsOnceOfALayerThatTheModelDoesNotHave) {
  ggml_tensor* op = NewCountingAttention(8);
  Set("k=8,k@4=1");
  ::testing::internal::CaptureStderr();
  for (int pass = 0; pass < 3; ++pass) ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "TOPK: warning: k@4=1 is about layer 4, and a whole pass came to no attention above layer 3: name none but "
            "those, or leave it out\n");
  Set("k=8,k@3=1");
  ::testing::internal::CaptureStderr();
  for (int pass = 0; pass < 3; ++pass) ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(BackendTest, LayersBelowDenseLayersKeepAllKeys) {
  ggml_tensor* op = NewCountingAttention(8);
  Set("k=1,crossover=0,dense_layers=4");
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_EQ(GetStatistics()[0].sums.keys_kept, 8);
  EXPECT_EQ(GetStatistics()[0].sums.dense_rows, 1);
  Set("k=1,crossover=0,dense_layers=3");
  ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_FLOAT_EQ(Result(op), 70.0F);
}

TEST_F(BackendTest, SkipsNodesThatAreNotToBeComputed) {
  ggml_tensor* op = NewCountingAttention(8);
  ggml_cgraph* graph = ggml_new_graph(context_.get());
  ggml_build_forward_expand(graph, op);
  op->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
  ASSERT_EQ(ggml_backend_graph_compute(backend_.get(), graph), GGML_STATUS_SUCCESS);
  EXPECT_EQ(Result(op), -1.0F);
  EXPECT_TRUE(GetStatistics().empty());
}

TEST_F(BackendTest, StopsWhenTheAbortCallbackSaysSo) {
  const auto set_abort = Proc<ggml_backend_set_abort_callback_t>("ggml_backend_set_abort_callback");
  ASSERT_NE(set_abort, nullptr);
  bool abort = true;
  set_abort(backend_.get(), [](void* data) { return *static_cast<bool*>(data); }, &abort);
  ggml_tensor* op = NewCountingAttention(8);
  EXPECT_EQ(Compute(op), GGML_STATUS_ABORTED);
  EXPECT_EQ(Result(op), -1.0F);
  abort = false;
  EXPECT_EQ(Compute(op), GGML_STATUS_SUCCESS);
  EXPECT_NE(Result(op), -1.0F);
}

// Collects ggml's log while it lives.
class LogCapture {  // NOLINT(cppcoreguidelines-special-member-functions): not copied, hence not moved
 public:
  LogCapture() {
    ggml_log_get(&callback_, &data_);
    ggml_log_set([](ggml_log_level, const char* text, void* log) { *static_cast<std::string*>(log) += text; }, &text_);
  }
  ~LogCapture() { ggml_log_set(callback_, data_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  const std::string& text() const { return text_; }

 private:
  ggml_log_callback callback_ = nullptr;
  void* data_ = nullptr;
  std::string text_;
};

TEST_F(BackendTest, FailsWithLayerAndReasonWhenTheBudgetCoversAllKeysAndFallbackIsOff) {
  ggml_tensor* op = NewCountingAttention(8);
  Set("k=8,fallback=off");
  const LogCapture log;
  EXPECT_EQ(Compute(op), GGML_STATUS_FAILED);
  EXPECT_EQ(Result(op), -1.0F);
  EXPECT_TRUE(GetStatistics().empty());
  EXPECT_NE(log.text().find("TOPK: layer 3: "), std::string::npos) << log.text();
  EXPECT_NE(log.text().find("fallback"), std::string::npos) << log.text();
  EXPECT_NE(log.text().find(LastError()), std::string::npos) << log.text();
  EXPECT_NE(LastError().find("layer 3: "), std::string::npos) << LastError();
}

TEST_F(BackendTest, FailsInsteadOfAbortingOnAnOpThatItDidNotClaim) {
  ggml_tensor* op = NewCountingAttention(8);
  const LogCapture log;
  EXPECT_EQ(Compute(ggml_add(context_.get(), op->src[0], op->src[0])), GGML_STATUS_FAILED);
  EXPECT_NE(log.text().find("ADD"), std::string::npos) << log.text();
}

TEST_F(BackendTest, LogsWhatItComputedWhenAContextEnds) {
  Set("k=2,crossover=0");
  ASSERT_EQ(Compute(NewCountingAttention(8)), GGML_STATUS_SUCCESS);
  const LogCapture log;
  backend_.reset();
  EXPECT_NE(log.text().find("kept 2 of 8 keys"), std::string::npos) << log.text();
}

TEST_F(BackendTest, GivesTheSameResultWithAnyNumberOfThreads) {
  const auto set_threads = Proc<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads");
  ASSERT_NE(set_threads, nullptr);
  for (const int n_threads : {0, 1, 2, 5}) {
    set_threads(backend_.get(), n_threads);
    ggml_tensor* op = NewCountingAttention(8);
    ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
    Set("k=2,crossover=0");
    ASSERT_EQ(Compute(op), GGML_STATUS_SUCCESS);
    EXPECT_NEAR(Result(op), BestTwoOf(8), 1e-4) << n_threads;
  }
}

TEST_F(BackendTest, ListsItsFeatures) {
  const auto get_features = Proc<ggml_backend_get_features_t>("ggml_backend_get_features");
  ASSERT_NE(get_features, nullptr);
  const ggml_backend_feature* feature = get_features(ggml_backend_dev_backend_reg(device_));
  ASSERT_NE(feature->name, nullptr);
  EXPECT_STREQ(feature->name, "SIMD");
  EXPECT_GT(std::strlen(feature->value), 0U);
  EXPECT_EQ((feature + 1)->name, nullptr);
}

TEST_F(BackendTest, CFunctionsReadAndResetStatistics) {
  const auto get = Proc<topk_get_statistics_t>("topk_get_statistics");
  const auto reset = Proc<topk_reset_statistics_t>("topk_reset_statistics");
  ASSERT_NE(get, nullptr);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(get(nullptr, 0), 0);
  Set("k=2,crossover=0,mass=exact");
  ASSERT_EQ(Compute(NewCountingAttention(8)), GGML_STATUS_SUCCESS);
  EXPECT_EQ(get(nullptr, 0), 1);
  topk_layer_statistics layers[2] = {};
  ASSERT_EQ(get(layers, 2), 1);
  EXPECT_EQ(layers[0].layer, 3);
  EXPECT_EQ(layers[0].calls, 1);
  EXPECT_EQ(layers[0].rows, 1);
  EXPECT_EQ(layers[0].keys_seen, 8);
  EXPECT_EQ(layers[0].keys_kept, 2);
  EXPECT_EQ(layers[0].mass_rows, 1);
  EXPECT_GT(layers[0].mass_sum, 0.8);
  EXPECT_LT(layers[0].mass_min, 1.0);
  reset();
  EXPECT_EQ(get(layers, 2), 0);
}

TEST_F(BackendTest, CFunctionSetsSettingsOrExplains) {
  const auto set = Proc<topk_set_settings_t>("topk_set_settings");
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(set("k=77,dense_layers=1", nullptr, 0), 0);
  EXPECT_EQ(CurrentSettings().options.k, 77);
  char message[4096];
  EXPECT_EQ(set("k=0", message, sizeof(message)), 1);
  EXPECT_NE(std::string(message).find("\"k=0\""), std::string::npos) << message;
  EXPECT_EQ(CurrentSettings().options.k, 77);
  EXPECT_EQ(set("k=0", message, 8), 1);
  EXPECT_EQ(std::strlen(message), 7U) << "cut to the buffer, ended by a zero";
  EXPECT_EQ(set("k=0", nullptr, 0), 1);
}

TEST_F(BackendTest, UnknownProcIsNull) { EXPECT_EQ(Proc<void*>("no_such_function"), nullptr); }

TEST_F(BackendTest, RegistersOnlyOnce) {
  const topk::Status status = RegisterTopK("");
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("already"), std::string::npos);
}

TEST(Plugin, RefusesInvalidSettings) {
  Settings settings;
  settings.options.k = 0;
  EXPECT_FALSE(SetSettings(settings).ok());
  EXPECT_FALSE(RegisterTopK("k=0").ok());
}

}  // namespace
}  // namespace qwen_infer
