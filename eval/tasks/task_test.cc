// Of every task: the answer is in the prompt where it must be, and nowhere else, and a seed always makes the same.
#include "eval/tasks/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>

namespace qwen_infer::tasks {

void PrintTo(const Task& task, std::ostream* out) { *out << task.name; }

namespace {

constexpr int64_t kLength = 2048;

Material TestMaterial() {
  Material material;
  for (int i = 0; i < 30; ++i) material.sentences.push_back("Sentence " + std::to_string(i) + " tells nothing.");
  for (int i = 0; i < 20; ++i) {
    PythonFunction& function = material.functions.emplace_back();
    function.name = "case_of_letter_";
    function.name += static_cast<char>('a' + i);
    function.description = "Return what the case of number " + std::to_string(i) + " is about.";
    function.code.append("def ").append(function.name).append("():\n    \"\"\"");
    function.code.append(function.description).append("\"\"\"\n    return 1");
    function.tokens = 40;
  }
  return material;
}

Example Make(std::string_view name, int64_t size, uint64_t seed) {
  eval::Random random(seed);
  return FindTask(name)->make(TestMaterial(), {.length = kLength, .size = size}, random);
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// How often each word stands in a text that is split at blanks.
std::map<std::string, size_t> WordCounts(const std::string& text) {
  std::map<std::string, size_t> counts;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) ++counts[word];
  return counts;
}

std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.rfind(begin) + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

std::set<std::string> AsSet(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

class TaskTest : public ::testing::TestWithParam<Task> {};

TEST_P(TaskTest, TheAnswerIsInTheQuestionAndTheModelHasToGiveIt) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Example example = Make(GetParam().name, 400, seed);
    ASSERT_FALSE(example.references.empty());
    EXPECT_EQ(AsSet(example.references).size(), example.references.size());
    for (const std::string& reference : example.references) {
      EXPECT_GE(Count(example.question, reference), 1U) << reference;
      EXPECT_EQ(Count(example.answer_start, " " + reference), 0U) << reference;
    }
    EXPECT_TRUE(example.answer_start.starts_with(" "));
  }
}

TEST_P(TaskTest, ASeedAlwaysMakesTheSameAndAnotherAnother) {
  const Example once = Make(GetParam().name, 100, 7);
  const Example again = Make(GetParam().name, 100, 7);
  EXPECT_EQ(once.question, again.question);
  EXPECT_EQ(once.references, again.references);
  EXPECT_NE(once.question, Make(GetParam().name, 100, 8).question);
}

TEST_P(TaskTest, MorePiecesMakeALongerPromptWithTheSameAnswer) {
  const Example some = Make(GetParam().name, 50, 3);
  const Example more = Make(GetParam().name, 500, 3);
  EXPECT_LT(some.question.size(), more.question.size());
  EXPECT_EQ(some.references.size(), more.references.size());
}

std::string NameOf(const ::testing::TestParamInfo<Task>& info) { return std::string(info.param.name); }

INSTANTIATE_TEST_SUITE_P(EveryTask, TaskTest, ::testing::ValuesIn(Tasks().begin(), Tasks().end()), NameOf);

TEST(TasksTest, AreFoundByTheirNames) {
  for (const Task& task : Tasks()) EXPECT_EQ(FindTask(task.name), &task);
  EXPECT_EQ(FindTask("niah"), nullptr);
}

TEST(TasksTest, ThePasskeyStandsInItsSentenceAnywhereInTheNoise) {
  std::set<size_t> lines;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Example example = Make("passkey", 10, seed);
    const std::string& key = example.references.at(0);
    std::string needle = "The pass key is ";
    needle.append(key).append(". Remember it. ").append(key).append(" is the pass key.\n");
    ASSERT_EQ(Count(example.question, needle), 1U);
    const std::string before = example.question.substr(0, example.question.find(needle));
    lines.insert(Count(before, "The grass is green."));
    EXPECT_EQ(Count(example.question, "The grass is green."), 10U);
  }
  EXPECT_EQ(lines.size(), 10U);  // before each of the lines
}

// The value that a key has, of each of its needles.
std::vector<std::string> ValuesOf(const std::string& question, const std::string& key) {
  std::vector<std::string> values;
  const std::regex needle("One of the special magic (?:numbers|uuids) for " + key + R"( is: ([0-9a-f-]+)\.)");
  for (std::sregex_iterator at(question.begin(), question.end(), needle), end; at != end; ++at) {
    values.push_back((*at)[1]);
  }
  return values;
}

TEST(TasksTest, NeedlesHaveTheValuesOfTheKeysThatAreAskedFor) {
  const std::map<std::string_view, size_t> asked_for = {
      {"niah_single_1", 1},   {"niah_single_2", 1},   {"niah_single_3", 1},   {"niah_multikey_1", 1},
      {"niah_multikey_2", 1}, {"niah_multikey_3", 1}, {"niah_multivalue", 1}, {"niah_multiquery", 4}};
  for (const auto& [name, n_key] : asked_for) {
    const Example example = Make(name, 30, 5);
    const std::string query =
        std::regex_replace(Between(example.answer_start, " for ", " mentioned"), std::regex(",( and)?"), "");
    std::istringstream keys(query);
    std::set<std::string> values;
    size_t n_seen = 0;
    for (std::string key; keys >> key; ++n_seen) values.merge(AsSet(ValuesOf(example.question, key)));
    EXPECT_EQ(n_seen, n_key) << name;
    EXPECT_EQ(values, AsSet(example.references)) << name;
  }
}

TEST(TasksTest, NeedlesAreAsManyAsRulerHas) {
  const auto needles_in = [](std::string_view name) {
    return Count(Make(name, 30, 5).question, "One of the special magic ");
  };
  EXPECT_EQ(needles_in("niah_single_1"), 1U);
  EXPECT_EQ(needles_in("niah_single_3"), 1U);
  EXPECT_EQ(needles_in("niah_multikey_1"), 4U);
  EXPECT_EQ(needles_in("niah_multivalue"), 4U);
  EXPECT_EQ(needles_in("niah_multiquery"), 4U);
  EXPECT_EQ(needles_in("niah_multikey_2"), 31U);  // and nothing else
  EXPECT_EQ(Count(Make("niah_multikey_2", 30, 5).question, "grass"), 0U);
}

TEST(TasksTest, OneNeedleIsAskedForInTheSingular) {
  EXPECT_TRUE(Make("niah_single_3", 9, 1)
                  .question.starts_with("A special magic uuid is hidden within the following text. Make sure to "
                                        "memorize it. I will quiz you about the "
                                        "uuid afterwards.\n"));
  EXPECT_TRUE(Make("niah_multivalue", 9, 1)
                  .question.starts_with("Some special magic numbers are hidden within the following text. "));
}

TEST(TasksTest, AUuidIsOfVersionFour) {
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Example example = Make("niah_multikey_3", 5, seed);
    EXPECT_TRUE(std::regex_match(example.references.at(0), uuid)) << example.references[0];
  }
}

TEST(TasksTest, WithoutATextNeedlesStandInNoise) {
  eval::Random random(1);
  const Example example = FindTask("niah_multiquery")->make({}, {.length = kLength, .size = 6}, random);
  EXPECT_EQ(Count(example.question, "The grass is green."), 9U);  // 6, and a line for each needle to stand before
}

TEST(TasksTest, VariablesGetTheValueFromEachOther) {
  const Example example = Make("vt", 30, 9);
  const std::string text = example.question.substr(example.question.rfind("Memorize and track"));
  const std::string value = Between(example.question, "assigned the value ", " in the text above");
  std::set<std::string> with_value;
  const std::regex assignment("VAR ([A-Z]{5}) = (?:VAR )?([A-Z]{5}|[0-9]{5})");
  for (std::sregex_iterator at(text.begin(), text.end(), assignment), end; at != end; ++at) {
    // Each gets it from one that stands before it.
    if ((*at)[2] == value || with_value.contains((*at)[2])) with_value.insert((*at)[1]);
  }
  EXPECT_EQ(with_value, AsSet(example.references));
  EXPECT_EQ(with_value.size(), 5U);
}

TEST(TasksTest, TheExampleOfVariablesIsAnswered) {
  const std::string question = Make("vt", 30, 9).question;
  const std::string answer = Between(question, "variables are assigned the value ", "\n\nMemorize");
  EXPECT_TRUE(std::regex_search(answer, std::regex("they are: ( [A-Z]{3}){5}$"))) << answer;
}

TEST(TasksTest, CommonWordsAreTheTenMostCommon) {
  const Example example = Make("cwe", 100, 2);
  const auto counts = WordCounts(Between(example.question, "appear most often.\n", "\nQuestion"));
  size_t others = 0;
  for (const auto& [word, count] : counts) {
    if (word.back() == '.') continue;  // numbers of the list
    const bool is_common = AsSet(example.references).contains(word);
    EXPECT_EQ(count, is_common ? 6U : 1U) << word;
    others += is_common ? 0 : 1;
  }
  EXPECT_EQ(others, 100U);
  EXPECT_EQ(example.references.size(), 10U);
  ASSERT_EQ(example.shots.size(), 1U);
  EXPECT_TRUE(example.shots[0].answer.starts_with(example.answer_start + " 1. ")) << example.shots[0].answer;
}

TEST(TasksTest, LongListsOfWordsRepeatThemAsRulerDoes) {
  eval::Random random(1);
  const Example example = FindTask("cwe")->make({}, {.length = 4096, .size = 50}, random);
  const auto counts = WordCounts(Between(example.question, "appear most often.\n", "\nQuestion"));
  for (const auto& [word, count] : counts) {
    if (word.back() == '.') continue;  // numbers of the list
    EXPECT_EQ(count, AsSet(example.references).contains(word) ? 30U : 3U) << word;
  }
}

TEST(TasksTest, FrequentWordsAreTheThreeMostFrequentBesideTheDots) {
  for (const int64_t size : {1, 300}) {
    const Example example = Make("fwe", size, 4);
    auto counts = WordCounts(Between(example.question, "coded words. ", "\nQuestion"));
    counts.erase("...");
    std::vector<std::pair<size_t, std::string>> ranked;
    for (const auto& [word, count] : counts) ranked.emplace_back(count, word);
    std::sort(ranked.rbegin(), ranked.rend());
    ASSERT_GT(ranked.size(), 3U);
    EXPECT_GT(ranked[2].first, ranked[3].first) << "the answer is not unique";
    EXPECT_EQ(AsSet({ranked[0].second, ranked[1].second, ranked[2].second}), AsSet(example.references));
  }
}

TEST(TasksTest, TheFunctionThatIsAskedForHasTheDocstring) {
  std::set<std::string> names;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Example example = Make("code_retrieval", 400, seed);
    const std::string& name = example.references.at(0);
    const std::string description = Between(example.question, "has the docstring \"", "\"?");
    std::string code = "def ";
    code.append(name).append("():\n    \"\"\"").append(description).append("\"\"\"");
    EXPECT_EQ(Count(example.question, code), 1U);
    EXPECT_EQ(Count(example.question, "def "), 11U);  // it, and others of 400 tokens
    names.insert(name);
  }
  EXPECT_GT(names.size(), 5U);
}

}  // namespace
}  // namespace qwen_infer::tasks
