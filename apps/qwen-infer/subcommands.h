// The subcommands of qwen-infer. Each takes the arguments after its name and returns the exit code.
#ifndef QWEN_INFER_APPS_SUBCOMMANDS_H_
#define QWEN_INFER_APPS_SUBCOMMANDS_H_

#include <span>
#include <string_view>

namespace qwen_infer {

using Arguments = std::span<const std::string_view>;

int RunComplete(Arguments arguments);
int RunChat(Arguments arguments);
int RunServe(Arguments arguments);
int RunBench(Arguments arguments);
int RunBenchCompare(Arguments arguments);  // bench --compare, without that flag
int RunBenchAttention(Arguments arguments);
int RunCalibrate(Arguments arguments);
int RunPerplexity(Arguments arguments);
int RunEval(Arguments arguments);
int RunEvalTasks(Arguments arguments);
int RunTune(Arguments arguments);
int RunInspect(Arguments arguments);
int RunQuantize(Arguments arguments);
int RunConvert(Arguments arguments);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SUBCOMMANDS_H_
