#include "attention/run.h"

#include <vector>

#include "attention/contest.h"
#include "attention/measure.h"
#include "attention/verify.h"
#include "attention/yardstick.h"
#include "shared/interrupted.h"

namespace qwen_infer::attention_bench {

Row RunCase(const CpuBackend& cpu, const Case& the_case, const Options& options, const std::atomic<bool>& stop,
            const std::function<void(std::string_view)>& say) {
  const topk::Executor executor = topk::OpenMpExecutor(options.threads);
  say("filling K and V");
  const Contest contest(cpu, the_case, options, OurMethods(the_case, options.k), stop);
  Verifier verifier(contest);
  for (const Contestant& contestant : contest.contestants()) {
    if (stop) throw Interrupted();
    say("verifying " + std::string(NameOf(contestant.method)));
    if (const std::string remark = verifier.Check(contestant, executor); !remark.empty()) say("warning: " + remark);
  }
  say("measuring");
  Row row = Evaluate(the_case, Measure(contest, YardsticksFor(contest.problem(), executor), options, stop));
  row.copies_bytes = static_cast<int64_t>(contest.problem().caches.size()) * the_case.KeyBytes();
  for (const Contestant& contestant : contest.contestants()) {
    if (contestant.method != row.best_ours) continue;
    topk::Statistics statistics;
    std::vector<float> output(static_cast<size_t>(the_case.Rows() * the_case.heads.d));
    RunAttention(contest.input(0), contestant.options, output.data(), {.statistics = &statistics}, executor);
    row.candidates = static_cast<double>(statistics.keys_scored) / static_cast<double>(statistics.rows);
    row.scratch_bytes = topk::ScratchBytes(contest.input(0), contestant.options, executor.n_workers);
  }
  return row;
}

}  // namespace qwen_infer::attention_bench
