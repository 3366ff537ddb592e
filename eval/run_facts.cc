#include "run_facts.h"

#include "cells.h"

namespace qwen_infer::eval {

std::vector<std::string> FactsOf(const RunFacts& run) {
  std::vector<std::string> facts = {run.date,
                                    run.model + " (" + run.model_description + "), K and V in " + run.cache_type,
                                    run.processor + ", " + Count(run.threads, "thread")};
  for (const auto& [name, version] : run.versions) facts.push_back(std::string(name).append(" ").append(version));
  return facts;
}

std::vector<std::string> SettingsOf(const RunFacts& run) {
  std::vector<std::string> lines;
  for (const WayName& way : run.ways) {
    if (!way.settings.empty()) lines.push_back(way.name + ": " + way.settings);
  }
  return lines;
}

}  // namespace qwen_infer::eval
