#include "statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace qwen_infer {
namespace {

topk::Statistics Call(int64_t rows, int64_t seen, int64_t kept) {
  topk::Statistics call;
  call.rows = rows;
  call.keys_seen = seen;
  call.keys_kept = kept;
  call.seconds = 0.5;
  return call;
}

TEST(StatisticsBook, AddsUpByLayerInOrder) {
  StatisticsBook book;
  book.Add(7, Call(2, 100, 10));
  book.Add(1, Call(1, 50, 50));
  book.Add(7, Call(4, 300, 30));
  const std::vector<LayerStatistics> layers = book.Get();
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].layer, 1);
  EXPECT_EQ(layers[0].calls, 1);
  EXPECT_EQ(layers[1].layer, 7);
  EXPECT_EQ(layers[1].calls, 2);
  EXPECT_EQ(layers[1].sums.rows, 6);
  EXPECT_EQ(layers[1].sums.keys_seen, 400);
  EXPECT_EQ(layers[1].sums.OperationsSaved(), 360);
  const LayerStatistics total = Total(layers);
  EXPECT_EQ(total.calls, 3);
  EXPECT_EQ(total.sums.keys_kept, 90);
  EXPECT_DOUBLE_EQ(total.sums.seconds, 1.5);
}

TEST(StatisticsBook, IsEmptyAfterReset) {
  StatisticsBook book;
  book.Add(0, Call(1, 1, 1));
  book.Reset();
  EXPECT_TRUE(book.Get().empty());
  EXPECT_EQ(Total(book.Get()).calls, 0);
}

TEST(StatisticsBook, LosesNothingWhenManyThreadsAdd) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 2000;
  StatisticsBook book;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&book] {
      for (int i = 0; i < kCalls; ++i) {
        book.Add(i % 3, Call(1, 2, 1));
        if (i % 100 == 0) {
          for (const LayerStatistics& layer : book.Get()) EXPECT_EQ(layer.sums.keys_seen, 2 * layer.calls);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Total(book.Get()).calls, kThreads * kCalls);
  EXPECT_EQ(Total(book.Get()).sums.keys_seen, 2 * kThreads * kCalls);
}

TEST(StatisticsJson, HoldsSettingsTotalAndLayers) {
  Settings settings;
  settings.options.k = 10;
  settings.options.mass = topk::MassMode::kExact;
  StatisticsBook book;
  topk::Statistics call = Call(2, 100, 20);
  call.mass_rows = 2;
  call.mass_sum = 1.5;
  call.mass_min = 0.7;
  book.Add(0, call);
  book.Add(kUnknownLayer, Call(1, 8, 8));
  const auto json = nlohmann::ordered_json::parse(StatisticsJson(settings, book.Get()).dump());
  EXPECT_EQ(json["settings"], FormatSettings(settings));
  EXPECT_EQ(json["mass_mode"], "exact");
  EXPECT_EQ(json["total"]["calls"], 2);
  EXPECT_EQ(json["total"]["keys_seen"], 108);
  EXPECT_EQ(json["total"]["operations_saved"], 80);
  EXPECT_EQ(json["total"]["score_bytes_saved"], 320);
  ASSERT_EQ(json["layers"].size(), 2U);
  EXPECT_TRUE(json["layers"][0]["layer"].is_null());
  EXPECT_TRUE(json["layers"][0]["mean_mass"].is_null()) << "no row was measured";
  EXPECT_TRUE(json["layers"][0]["min_mass"].is_null());
  EXPECT_EQ(json["layers"][1]["layer"], 0);
  EXPECT_DOUBLE_EQ(json["layers"][1]["mean_mass"].get<double>(), 0.75);
  EXPECT_DOUBLE_EQ(json["layers"][1]["min_mass"].get<double>(), 0.7);
  EXPECT_DOUBLE_EQ(json["layers"][1]["deviation_bound"].get<double>(), 2 * (1 - 0.7));
  EXPECT_TRUE(json["total"]["deviation_bound"].is_null()) << "one of the rows was not measured";
}

TEST(StatisticsSummary, NamesTheFigures) {
  StatisticsBook book;
  book.Add(0, Call(2, 100, 25));
  EXPECT_EQ(StatisticsSummary(book.Get()),
            "1 layers, 1 calls, 2 rows (0 dense): kept 25 of 100 keys (25.0 %), 0.500 s");
  EXPECT_NE(StatisticsSummary({}).find("kept 0 of 0 keys"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer
