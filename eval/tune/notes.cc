#include "eval/tune/notes.h"

#include <nlohmann/json.hpp>

#include "eval/cells.h"
#include "eval/json_parts.h"
#include "shared/fixed.h"

namespace qwen_infer::tune {

namespace {

using Json = nlohmann::ordered_json;

Json WayJson(const eval::Report& report, size_t way) {
  const eval::WaySummary& summary = report.summary.ways.at(way);
  Json json = {{"perplexity", summary.scored.perplexity}};
  if (way == eval::kFullAttention) return json;
  json.update({{"settings", report.run.ways.at(way).settings},
               {"change_percent", EstimateJson(summary.scored.change)},
               {"kl", EstimateJson(summary.scored.kl)},
               {"kept_share", summary.attention.KeptShare()}});
  return json;
}

Json LayersJson(std::span<const Curve> curves, const Budgets& budgets) {
  Json measured = Json::array();
  for (size_t layer = 0; layer < curves.size(); ++layer) {
    Json points = Json::array();
    for (const CurvePoint& point : curves[layer].points()) {
      points.push_back({{"k", point.k}, {"kl", point.kl}, {"mass", point.mass}});
    }
    measured.push_back({{"layer", layer}, {"k", budgets.at(layer)}, {"at", std::move(points)}});
  }
  const Budgets fixed(budgets.size(), FixedBudget(budgets));
  return {{"expected_kl", {{"fixed", ExpectedKl(curves, fixed)}, {"layers", ExpectedKl(curves, budgets)}}},
          {"mean_k", MeanOf(budgets)},
          {"measured", std::move(measured)}};
}

Json TriedJson(std::span<const Tried> tried) {
  Json json = Json::array();
  for (const Tried& one : tried) {
    json.push_back({{"settings", one.settings}, {"kl", one.kl}, {"keys_per_row", one.keys_per_row}});
  }
  return json;
}

Json RefinedJson(std::span<const TriedRefinement> refined) {
  Json json = Json::array();
  for (const TriedRefinement& one : refined) {
    json.push_back({{"dense_layers", one.refinement.dense_layers},
                    {"sinks", one.refinement.sinks},
                    {"temperature", one.refinement.temperature},
                    {"settings", one.tried.settings},
                    {"kl", one.tried.kl},
                    {"keys_per_row", one.tried.keys_per_row},
                    {"kl_difference", EstimateJson(one.difference)}});
  }
  return json;
}

// Of a refinement that changes one thing; empty for others.
std::string NameOf(const Refinement& refinement) {
  if (refinement == Refinement{.dense_layers = refinement.dense_layers}) {
    return eval::Count(refinement.dense_layers, "dense layer");
  }
  if (refinement == Refinement{.sinks = refinement.sinks}) return eval::Count(refinement.sinks, "sink");
  if (refinement != Refinement{.temperature = refinement.temperature}) return "";
  return "temperature " + Fixed(refinement.temperature, 2);
}

// The report has two settings, and so one pair.
const eval::Difference& TunedAgainstFixed(const eval::Report& report) { return report.summary.differences.at(0); }

// "better", "worse", or that it cannot be told.
std::string Judged(const eval::Estimate& change) {
  if (change.high < 0) return "better";
  return change.low > 0 ? "worse" : "neither better nor worse, as far as can be told";
}

}  // namespace

Json Notes(const std::string& aim, std::span<const Curve> curves, const Budgets& budgets, const Choice& choice,
           const eval::Report& held_out) {
  const eval::Positions scored = held_out.summary.ways.front().scored.positions;
  const eval::Difference& difference = TunedAgainstFixed(held_out);
  return {{"aim", aim},
          {"command", held_out.run.command},
          {"date", held_out.run.date},
          {"versions", held_out.run.versions},
          {"processor", held_out.run.processor},
          {"held_out",
           {{"text_hash", held_out.text_hash},
            {"windows", held_out.summary.windows},
            {"window", held_out.window},
            {"first", scored.first},
            {"last", scored.last - 1},
            {"full", WayJson(held_out, eval::kFullAttention)},
            {"fixed", WayJson(held_out, kFixedWay)},
            {"tuned", WayJson(held_out, kTunedWay)},
            {"tuned_against_fixed",
             {{"change_percent", EstimateJson(difference.change)}, {"kl", EstimateJson(difference.kl)}}}}},
          {"tried", TriedJson(choice.tried)},
          {"refined", RefinedJson(choice.refined)},
          {"layers", LayersJson(curves, budgets)}};
}

std::string Verdict(const eval::Report& held_out) {
  const eval::Difference& difference = TunedAgainstFixed(held_out);
  return "Against " + held_out.run.ways.at(kFixedWay).name + ", on text that it was not made from, the profile is " +
         Judged(difference.change) + " in perplexity (" + Fixed(difference.change.mean, 2) + " %), and " +
         Judged(difference.kl) + " in divergence from full attention (" + Fixed(difference.kl.mean, 5) + " nats).";
}

std::string VerdictOnIncrease(const eval::Report& held_out, double allowed) {
  constexpr double kPercent = 100;
  const eval::Estimate& change = held_out.summary.ways.at(kTunedWay).scored.change;
  const double most = kPercent * allowed;
  return "Perplexity was to rise by no more than " + Fixed(most, 2) + " %: on that text it changes by " +
         eval::WithInterval(change, 1, 2) + " %, so the aim is " +
         (change.high <= most ? "met."
          : change.low > most ? "missed."
                              : "neither met nor missed, as far as can be told.");
}

std::string RefinementText(const Choice& choice) {
  if (choice.refined.empty()) return "";
  std::string text = "what each refinement alone does to " + choice.refined.front().tried.settings + ":\n";
  for (const TriedRefinement& one : choice.refined) {
    if (&one == choice.refined.data()) continue;
    const std::string name = NameOf(one.refinement);
    if (name.empty()) continue;
    text += "  " + name + ": divergence " + eval::WithInterval(one.difference, 1, 5) + " nats with " +
            Fixed(one.tried.keys_per_row, 1) + " keys a row, " + Fixed(choice.refined.front().tried.keys_per_row, 1) +
            " without it\n";
  }
  return text;
}

}  // namespace qwen_infer::tune
