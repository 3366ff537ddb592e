#include "eval/tune/notes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen_infer::tune {
namespace {

constexpr int64_t kWindow = 600;

eval::WayScores Scores(float nll, float kl) {
  eval::WayScores scores;
  scores.nll.assign(kWindow - 1, nll);
  scores.kl.assign(kWindow - 1, kl);
  scores.agrees.assign(kWindow - 1, 1);
  scores.attention = {.rows = 10, .keys_seen = 100, .keys_kept = 25};
  return scores;
}

// nll and divergence of the profile, where those of the fixed budget are 1.02 and 0.002.
eval::Report ReportWith(float nll, float kl) {
  eval::Report report;
  report.window = kWindow;
  report.run.ways = {{"full attention", ""}, {"k=128", "k=128,..."}, {"profile", "k=128,k@0=9,..."}};
  report.run.command = "qwen-infer tune";
  const eval::WindowScores window = {Scores(1, 0), Scores(1.02F, 0.002F), Scores(nll, kl)};
  report.summary = eval::Summarize(std::vector<eval::WindowScores>(2, window), {300, kWindow}, 1);
  return report;
}

TEST(TuneNotesTest, HoldWhatWasMeasuredAndTheComparison) {
  const std::vector<Curve> curves = {Curve({{16, 0.4, 0.5}, {256, 0.1, 0.7}}),
                                     Curve({{16, 0.2, 0.6}, {256, 0.1, 0.7}})};
  const Choice choice = {.settings = "k=32,min_mass=0.9",
                         .fixed_k = 128,
                         .tried = {{"k=128", 0.002, 128}, {"k=32,min_mass=0.9", 0.001, 120}},
                         .refined = {{{.sinks = 4}, {"k=32,min_mass=0.88,sinks=4", 0.0012, 119}, {1, 0, 2}}}};
  const nlohmann::ordered_json notes = Notes("--budget 128", curves, {240, 16}, choice, ReportWith(1.01F, 0.001F));
  EXPECT_EQ(notes["aim"], "--budget 128");
  EXPECT_EQ(notes["layers"]["mean_k"], 128);
  EXPECT_EQ(notes["tried"][1]["keys_per_row"], 120);
  EXPECT_EQ(notes["refined"][0]["sinks"], 4);
  EXPECT_EQ(notes["refined"][0]["kl_difference"]["high"], 2);
  EXPECT_EQ(notes["command"], "qwen-infer tune");
  EXPECT_EQ(notes["layers"]["measured"][1]["k"], 16);
  EXPECT_EQ(notes["layers"]["measured"][0]["at"][1]["mass"], 0.7);
  EXPECT_NEAR(notes["layers"]["expected_kl"]["fixed"].get<double>(), curves[0].Kl(128) + curves[1].Kl(128), 1e-12);
  EXPECT_EQ(notes["held_out"]["first"], 300);
  EXPECT_EQ(notes["held_out"]["fixed"]["settings"], "k=128,...");
  EXPECT_EQ(notes["held_out"]["tuned"]["kept_share"], 0.25);
  EXPECT_FALSE(notes["held_out"]["full"].contains("kl"));
  EXPECT_NEAR(notes["held_out"]["tuned_against_fixed"]["kl"]["high"].get<double>(), -0.001, 1e-6);
}

TEST(TuneNotesTest, TheVerdictClaimsOnlyWhatTheIntervalAllows) {
  EXPECT_EQ(Verdict(ReportWith(1.01F, 0.001F)),
            "Against k=128, on text that it was not made from, the profile is better in perplexity (-1.00 %), and "
            "better in divergence from full attention (-0.00100 nats).");
  EXPECT_EQ(Verdict(ReportWith(1.02F, 0.003F)),
            "Against k=128, on text that it was not made from, the profile is neither better nor worse, as far as can "
            "be told in perplexity (0.00 %), and worse in divergence from full attention (0.00100 nats).");
}

TEST(TuneNotesTest, AnIncreaseIsMetOrMissedOnlyIfTheIntervalAllows) {
  EXPECT_EQ(
      VerdictOnIncrease(ReportWith(1.001F, 0), 0.002),
      "Perplexity was to rise by no more than 0.20 %: on that text it changes by +0.10 (+0.10 to +0.10) %, so the "
      "aim is met.");
  EXPECT_TRUE(VerdictOnIncrease(ReportWith(1.003F, 0), 0.002).ends_with("so the aim is missed."));
  eval::Report report = ReportWith(1.001F, 0);
  report.summary.ways[kTunedWay].scored.change = {0.1, -0.1, 0.3};
  EXPECT_TRUE(VerdictOnIncrease(report, 0.002).ends_with("neither met nor missed, as far as can be told."));
}

TEST(TuneNotesTest, WhatEachRefinementDoesByItselfIsTold) {
  Choice choice;
  EXPECT_EQ(RefinementText(choice), "");
  choice.refined = {{{}, {"k=128", 0.5, 128}},
                    {{.sinks = 4}, {"", 0.4, 127.5}, {-0.1, -0.2, 0.1}},
                    {{.sinks = 4, .temperature = 0.95}, {"", 0.3, 127}},
                    {{.temperature = 0.95}, {"", 0.5, 128}}};
  EXPECT_EQ(RefinementText(choice),
            "what each refinement alone does to k=128:\n"
            "  4 sinks: divergence -0.10000 (-0.20000 to +0.10000) nats with 127.5 keys a row, 128.0 without it\n"
            "  temperature 0.95: divergence +0.00000 (+0.00000 to +0.00000) nats with 128.0 keys a row, 128.0 without "
            "it\n");
}

}  // namespace
}  // namespace qwen_infer::tune
