// Functions of Python source code that say in a docstring what they do.
#ifndef QWEN_INFER_EVAL_TASKS_PYTHON_FUNCTIONS_H_
#define QWEN_INFER_EVAL_TASKS_PYTHON_FUNCTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwen_infer::tasks {

struct PythonFunction {
  std::string name;
  std::string description;  // the first paragraph of its docstring, in one line
  std::string code;         // from "def" to the last line of its body
  int64_t tokens = 0;       // of the code, for a model; 0: not counted
};

// Those at the top level of a module. Left out are functions that no question can be asked about: with a docstring of
// fewer than four words or more than 40, one that has the name in it, or a name of fewer than five letters.
std::vector<PythonFunction> FunctionsOf(std::string_view source);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_PYTHON_FUNCTIONS_H_
