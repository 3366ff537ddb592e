// Whole calls, dense and with k = 256: prefill of 512 causal queries at the end of a context, and decode of one with
// caches cold. Keys are Gaussian, or in two clusters that int8 is too coarse for.
#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "topk/attention.h"
#include "topk/testing/random_input.h"
#include "topk/testing/time_attention.h"

namespace topk {
namespace {

using testing::Shape;

enum class Keys { kGaussian, kTwoClusters };

void AttentionBench(benchmark::State& state, const Shape& shape, Keys keys, const TopKOptions& options) {
  testing::TimeAttention(state, shape, options, [keys](testing::RandomProblem& problem) {
    constexpr float kDistance = 30.0F;
    std::mt19937 random(2);
    if (keys == Keys::kTwoClusters) problem.k.FillTwoClusters(random, kDistance);
  });
}

bool Register() {
  struct Heads {
    int64_t n_head, n_head_kv, d;
  };
  struct Way {
    const char* name;
    TopKOptions options;
  };
  for (const Heads& heads : {Heads{14, 2, 64}, Heads{16, 8, 128}, Heads{32, 8, 128}}) {
    for (int64_t n_query : {512, 1}) {
      for (int64_t n_key : {1024, 4096, 8192, 32768}) {
        for (DataType type : {DataType::kF16, DataType::kQ8_0}) {
          const Shape shape{.n_query = n_query,
                            .n_key = n_key,
                            .n_head = heads.n_head,
                            .n_head_kv = heads.n_head_kv,
                            .d_k = heads.d,
                            .d_v = heads.d,
                            .k_type = type,
                            .v_type = type,
                            .mask = Shape::Mask::kCausal};
          const bool is_prefill = n_query > 1;
          for (const Keys keys : {Keys::kGaussian, Keys::kTwoClusters}) {
            if (keys == Keys::kTwoClusters && (!is_prefill || type == DataType::kQ8_0)) continue;
            for (const Way& way : {Way{"dense", {.k = n_key}}, Way{"f32", {.scan = ScanMode::kF32}},
                                   Way{"int8", {.scan = ScanMode::kInt8}}, Way{"int16", {.scan = ScanMode::kInt16}},
                                   Way{"auto", {.scan = ScanMode::kAuto}}}) {
              if (!is_prefill && way.options.scan == ScanMode::kInt16) continue;  // runs as int8
              const std::string name = std::string(is_prefill ? "Prefill" : "Decode") + "/" + way.name +
                                       "/heads:" + std::to_string(heads.n_head) + ":" +
                                       std::to_string(heads.n_head_kv) + "/d:" + std::to_string(heads.d) +
                                       (type == DataType::kF16 ? "/f16" : "/q8_0") + "/n:" + std::to_string(n_key) +
                                       (keys == Keys::kTwoClusters ? "/clusters" : "");
              benchmark::RegisterBenchmark(name.c_str(), AttentionBench, shape, keys, way.options)
                  ->Unit(benchmark::kMillisecond)
                  ->UseRealTime();
            }
          }
        }
      }
    }
  }
  return true;
}

// A layer's forward pass: as many causal queries as keys, all in f32.
bool RegisterLayer() {
  struct Way {
    const char* name;
    ScanMode scan;
  };
  for (const Way& way : {Way{"auto", ScanMode::kAuto}, Way{"f32", ScanMode::kF32}, Way{"int8", ScanMode::kInt8}}) {
    for (int64_t n : {512, 1024, 2048, 4096}) {
      for (int64_t k : {64, 128}) {
        const Shape shape{.n_query = n,
                          .n_key = n,
                          .n_head = 8,
                          .n_head_kv = 8,
                          .d_k = 64,
                          .d_v = 64,
                          .k_type = DataType::kF32,
                          .v_type = DataType::kF32,
                          .mask = Shape::Mask::kCausal};
        const std::string name =
            std::string("Layer/") + way.name + "/heads:8/d:64/f32/n:" + std::to_string(n) + "/k:" + std::to_string(k);
        benchmark::RegisterBenchmark(name.c_str(), AttentionBench, shape, Keys::kGaussian,
                                     TopKOptions{.k = k, .sparse = true, .scan = way.scan})
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
    }
  }
  return true;
}

// What it costs to measure the mass of a selection, and to have budgets follow it: prefill, as in Register().
bool RegisterMass() {
  struct Way {
    const char* name;
    TopKOptions options;
  };
  for (int64_t n_key : {4096, 8192, 32768}) {
    const Shape shape{.n_query = 512,
                      .n_key = n_key,
                      .n_head = 14,
                      .n_head_kv = 2,
                      .d_k = 64,
                      .d_v = 64,
                      .k_type = DataType::kF16,
                      .v_type = DataType::kF16,
                      .mask = Shape::Mask::kCausal};
    for (const Way& way : {Way{"off", {.mass = MassMode::kOff}}, Way{"sampled", {.mass = MassMode::kSampled}},
                           Way{"exact", {.mass = MassMode::kExact}}, Way{"min_mass:0.2", {.min_mass = 0.2F}}}) {
      const std::string name = std::string("Mass/") + way.name + "/heads:14:2/d:64/f16/n:" + std::to_string(n_key);
      benchmark::RegisterBenchmark(name.c_str(), AttentionBench, shape, Keys::kGaussian, way.options)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
  return true;
}

const bool kRegistered = Register() && RegisterLayer() && RegisterMass();

}  // namespace
}  // namespace topk
