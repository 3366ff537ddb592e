// The passkey task (Mohtashami and Jaggi, "Landmark Attention: Random-Access Infinite Context Length for
// Transformers", 2023): a number stands somewhere in noise and is asked for at the end.
#include <string>

#include "eval/tasks/haystack.h"
#include "eval/tasks/task.h"

namespace qwen_infer::tasks {

Example MakePasskey(const Material& /*material*/, const Request& request, eval::Random& random) {
  constexpr size_t kLeast = 10'000;
  constexpr size_t kBeyond = 100'000;
  const std::string key = std::to_string(kLeast + random.Below(kBeyond - kLeast));
  const std::string needle = "The pass key is " + key + ". Remember it. " + key + " is the pass key.";
  const std::vector<std::string> lines(static_cast<size_t>(request.size), std::string(kNoise));
  return {.question =
              "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
              "I will quiz you about the important information there.\n" +
              InsertIntoLines(lines, {needle}, random) + "\nWhat is the pass key?",
          .answer_start = " The pass key is",
          .references = {key}};
}

}  // namespace qwen_infer::tasks
