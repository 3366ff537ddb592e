#include "eval/tasks/task.h"

#include <algorithm>
#include <array>

namespace qwen_infer::tasks {

namespace {

constexpr std::array<Task, 13> kTasks = {{
    {"passkey", "a number that is hidden in noise", 16, false, MakePasskey},
    {"niah_single_1", "the number of one word, hidden in noise", 128, false, MakeNiahSingle1},
    {"niah_single_2", "the same, hidden in the text of --file", 128, false, MakeNiahSingle2},
    {"niah_single_3", "the UUID of one word, hidden in the text of --file", 128, false, MakeNiahSingle3},
    {"niah_multikey_1", "the number of one of four words, in the text of --file", 128, false, MakeNiahMultikey1},
    {"niah_multikey_2", "the number of one word among nothing but such", 128, false, MakeNiahMultikey2},
    {"niah_multikey_3", "the UUID of one UUID among nothing but such", 128, false, MakeNiahMultikey3},
    {"niah_multivalue", "the four numbers of one word, in the text of --file", 128, false, MakeNiahMultivalue},
    {"niah_multiquery", "the numbers of four words, in the text of --file", 128, false, MakeNiahMultiquery},
    {"vt", "the five variables that get one value from each other, in noise", 30, false, MakeVariableTracking},
    {"cwe", "the ten most common words of a list", 120, false, MakeCommonWords},
    {"fwe", "the three most frequent words of a coded text", 50, false, MakeFrequentWords},
    {"code_retrieval", "the function that has a given docstring, in the code of --source", 32, true, MakeCodeRetrieval},
}};

}  // namespace

std::span<const Task> Tasks() { return kTasks; }

const Task* FindTask(std::string_view name) {
  const auto* const found =
      std::find_if(kTasks.begin(), kTasks.end(), [name](const Task& task) { return task.name == name; });
  return found == kTasks.end() ? nullptr : found;
}

}  // namespace qwen_infer::tasks
