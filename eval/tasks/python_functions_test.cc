#include "eval/tasks/python_functions.h"

#include <gtest/gtest.h>

namespace qwen_infer::tasks {
namespace {

TEST(PythonFunctionsTest, AFunctionHasItsNameDescriptionAndCode) {
  const std::string code =
      "def mean_of(\n    numbers: list[float],\n) -> float:\n    \"\"\"Return the arithmetic mean\n    of the "
      "numbers.\n\n"
      "    Longer: there must be some.\n    \"\"\"\n\n    return sum(numbers) / len(numbers)";
  const std::vector<PythonFunction> functions = FunctionsOf("import math\n\n" + code + "\n\n\nX = 3\n");
  ASSERT_EQ(functions.size(), 1U);
  EXPECT_EQ(functions[0].name, "mean_of");
  EXPECT_EQ(functions[0].description, "Return the arithmetic mean of the numbers.");
  EXPECT_EQ(functions[0].code, code);
}

TEST(PythonFunctionsTest, FunctionsThatRunAsynchronouslyCountToo) {
  const std::vector<PythonFunction> functions =
      FunctionsOf("async def fetch_page():\n    r\"\"\"Get what stands at an address.\"\"\"\n");
  ASSERT_EQ(functions.size(), 1U);
  EXPECT_EQ(functions[0].name, "fetch_page");
}

TEST(PythonFunctionsTest, LeavesOutWhatNoQuestionCanBeAskedAbout) {
  const std::string body = "\n    return 1\n";
  EXPECT_TRUE(FunctionsOf("def without_docstring():" + body).empty());
  EXPECT_TRUE(FunctionsOf("def too_short_a_docstring():\n    \"\"\"Return a one.\"\"\"" + body).empty());
  EXPECT_TRUE(FunctionsOf("def one():\n    \"\"\"Return the number that is one.\"\"\"" + body).empty());
  EXPECT_TRUE(FunctionsOf("def first():\n    \"\"\"Of all the numbers, first.\"\"\"" + body).empty());
  EXPECT_TRUE(FunctionsOf("class A:\n    def method(self):\n        \"\"\"Return the number of it.\"\"\"\n").empty());
  EXPECT_TRUE(FunctionsOf("def never_ends():\n    \"\"\"Return the number that is one.\n").empty());
  EXPECT_TRUE(FunctionsOf("").empty());
}

}  // namespace
}  // namespace qwen_infer::tasks
