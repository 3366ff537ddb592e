// The tasks: how an example of each is made from random numbers, at any length.
//
// All but passkey and code_retrieval are those of RULER (Hsieh et al., "RULER: What's the Real Context Size of Your
// Long-Context Language Models?", 2024, https://github.com/NVIDIA/RULER, scripts/data/synthetic and
// scripts/synthetic.yaml; Copyright (c) 2024 NVIDIA Corporation, Apache License 2.0): its names, its wording and its
// parameters. The code is ours, and so are the lists of words; where RULER has essays, we have a text of the user's or
// its noise. The passkey is that of Mohtashami and Jaggi, "Landmark Attention", 2023.
#ifndef QWEN_INFER_EVAL_TASKS_TASK_H_
#define QWEN_INFER_EVAL_TASKS_TASK_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/random.h"
#include "eval/tasks/example.h"
#include "eval/tasks/python_functions.h"

namespace qwen_infer::tasks {

// What examples are made of, beside random numbers.
struct Material {
  std::vector<std::string> sentences = {};     // the text to hide needles in; empty: RULER's noise
  std::vector<PythonFunction> functions = {};  // of the source code
};

// What an example is to be like.
struct Request {
  int64_t length = 0;  // tokens that prompt and answer may have
  int64_t size = 0;    // pieces of text beside what the answer needs: lines, sentences, words, tokens of code
};

struct Task {
  std::string_view name;
  std::string_view sentence;  // what it asks for, in a few words
  int64_t answer_tokens = 0;  // at most
  bool needs_functions = false;
  // At least Request::size 1. The same arguments give the same example.
  Example (*make)(const Material& material, const Request& request, eval::Random& random) = nullptr;
};

// All that there are.
std::span<const Task> Tasks();

// Null if there is none of that name.
const Task* FindTask(std::string_view name);

// By file: passkey.cc, needles.cc, variable_tracking.cc, common_words.cc, frequent_words.cc, code_retrieval.cc.
Example MakePasskey(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahSingle1(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahSingle2(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahSingle3(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahMultikey1(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahMultikey2(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahMultikey3(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahMultivalue(const Material& material, const Request& request, eval::Random& random);
Example MakeNiahMultiquery(const Material& material, const Request& request, eval::Random& random);
Example MakeVariableTracking(const Material& material, const Request& request, eval::Random& random);
Example MakeCommonWords(const Material& material, const Request& request, eval::Random& random);
Example MakeFrequentWords(const Material& material, const Request& request, eval::Random& random);
Example MakeCodeRetrieval(const Material& material, const Request& request, eval::Random& random);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_TASK_H_
