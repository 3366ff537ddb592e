// RULER's variable tracking (scripts/data/synthetic/variable_tracking.py): X1 = 12345, X2 = X1, X3 = X2, ... stand
// between lines of noise, and all variables with the value are asked for. One chain of four steps, after a short
// example that is answered.
#include <set>
#include <string>
#include <vector>

#include "eval/tasks/haystack.h"
#include "eval/tasks/task.h"

namespace qwen_infer::tasks {

namespace {

constexpr size_t kVariables = 5;

std::string RandomName(size_t letters, eval::Random& random) {
  constexpr size_t kAlphabet = 26;
  std::string name;
  for (size_t i = 0; i < letters; ++i) name += static_cast<char>('A' + random.Below(kAlphabet));
  return name;
}

std::vector<std::string> RandomNames(size_t letters, eval::Random& random) {
  std::set<std::string> seen;
  std::vector<std::string> names;
  while (names.size() < kVariables) {
    std::string name = RandomName(letters, random);
    if (seen.insert(name).second) names.push_back(std::move(name));
  }
  return names;
}

// Variables of that many letters in that many lines of noise.
Example MakeChain(size_t letters, size_t lines, eval::Random& random) {
  constexpr size_t kLeast = 10'000;
  constexpr size_t kBeyond = 99'999;
  const std::string value = std::to_string(kLeast + random.Below(kBeyond - kLeast));
  const std::vector<std::string> names = RandomNames(letters, random);
  std::vector<std::string> chain = {"VAR " + names[0] + " = " + value};
  for (size_t i = 1; i < kVariables; ++i) chain.push_back("VAR " + names[i] + " = VAR " + names[i - 1] + " ");
  const std::string context = InsertIntoLines(std::vector<std::string>(lines, std::string(kNoise)), chain, random);
  return {.question = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n" +
                      context + "\nQuestion: Find all variables that are assigned the value " + value +
                      " in the text above.",
          .answer_start = " Answer: According to the chain(s) of variable assignment in the text above, " +
                          std::to_string(kVariables) + " variables are assigned the value " + value + ", they are: ",
          .references = names};
}

}  // namespace

Example MakeVariableTracking(const Material& /*material*/, const Request& request, eval::Random& random) {
  // RULER's has at most 500 tokens, and its lines of noise are counted in fives.
  constexpr size_t kShotLetters = 3;
  constexpr size_t kShotLines = 10;
  constexpr size_t kLetters = 5;
  const Example shot = MakeChain(kShotLetters, kShotLines, random);
  Example example = MakeChain(kLetters, static_cast<size_t>(request.size) + kVariables - 1, random);
  std::string answered = shot.question + shot.answer_start;
  for (const std::string& name : shot.references) answered += " " + name;
  example.question = answered + "\n\n" + example.question;
  return example;
}

}  // namespace qwen_infer::tasks
