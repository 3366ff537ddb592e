// Find the function: many from real source code stand one after the other, and the name of the one with a given
// docstring is asked for. What it is told by is in the code, so this is about finding, not about understanding code.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/tasks/task.h"

namespace qwen_infer::tasks {

namespace {

using Pointers = std::vector<const PythonFunction*>;

// The first that leaves most of the prompt to others; else the first.
Pointers::const_iterator Wanted(const Pointers& functions, int64_t length) {
  constexpr int64_t kShare = 4;
  const auto found = std::find_if(functions.begin(), functions.end(), [length](const PythonFunction* function) {
    return function->tokens <= length / kShare;
  });
  return found == functions.end() ? functions.begin() : found;
}

// Whether the answer to a question for `wanted` could not be mistaken for this one.
bool IsAnother(const PythonFunction& function, const PythonFunction& wanted) {
  return function.name.find(wanted.name) == std::string::npos && function.description != wanted.description;
}

}  // namespace

Example MakeCodeRetrieval(const Material& material, const Request& request, eval::Random& random) {
  Pointers functions;
  for (const PythonFunction& function : material.functions) functions.push_back(&function);
  functions = random.Shuffled(std::move(functions));
  const PythonFunction& wanted = **Wanted(functions, request.length);
  Pointers chosen;
  int64_t left = request.size;
  for (const PythonFunction* function : functions) {
    if (function->tokens > left || !IsAnother(*function, wanted)) continue;
    chosen.push_back(function);
    left -= function->tokens;
  }
  chosen.insert(chosen.begin() + static_cast<std::ptrdiff_t>(random.Below(chosen.size() + 1)), &wanted);
  std::string code;
  for (const PythonFunction* function : chosen) code.append(code.empty() ? "" : "\n\n").append(function->code);
  return {.question =
              "Below are functions from the source code of several programs. Make sure to memorize them. I "
              "will quiz you about one of them afterwards.\n```python\n" +
              code + "\n```\nWhat is the name of the function that has the docstring \"" + wanted.description + "\"?",
          .answer_start = " The name of the function is",
          .references = {wanted.name}};
}

}  // namespace qwen_infer::tasks
