#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "attention.h"
#include "openmp_pool.h"
#include "topk/attention.h"

namespace nb = nanobind;

NB_MODULE(_topk, module) {
  module.doc() =
      "Exact top-k attention on arrays in memory; the packages top_k_attention and qwen_infer are made of it";
  // To be raised here and in top_k_attention/source_tree.py whenever what Python sees of this module changes.
  module.attr("INTERFACE") = 1;
  module.attr("MAX_HEAD_SIZE") = topk::kMaxHeadSize;
  module.attr("MAX_KEYS") = topk::kMaxKeys;
  module.attr("MASS_SAMPLING_PERIOD") = topk::kMassSamplingPeriod;
  module.attr("MASS_LONG_SAMPLING_PERIOD") = topk::kMassLongSamplingPeriod;
  module.attr("MASS_LONG_ROW") = topk::kMassLongRow;
  module.attr("AUTO_BUDGET") = topk::kAutoBudget;
  module.attr("MOST_AUTO_BUDGET") = topk::kMostAutoBudget;
  module.def("auto_budget", topk::AutoBudget, nb::arg("n_visible"),
             "Keys that a row with this many visible ones keeps where k is AUTO_BUDGET.");
  module.def(
      "auto_budgets",
      [](int64_t n_key) {
        std::vector<int64_t> budgets;
        for (int64_t n_visible = 0; n_visible <= n_key; ++n_visible) budgets.push_back(topk::AutoBudget(n_visible));
        return qwen_infer::python::ArrayOf(std::move(budgets));
      },
      nb::arg("n_key"), "The same for rows that see 0 to n_key keys, as an array.");
  module.def(
      "simd_targets",
      [] {
        const std::vector<const char*> targets = topk::SimdTargets();
        return std::vector<std::string>(targets.begin(), targets.end());
      },
      "Names of the SIMD targets that this build has and this machine runs, best first.");
  module.def(
      "share_openmp_of", [](const std::string& path) { return qwen_infer::python::ShareOpenMpOf(path.c_str()); },
      nb::arg("path"),
      "Run on the OpenMP threads that the loaded shared library at this path uses. False if it has none.");
  qwen_infer::python::BindAttention(module);
}
