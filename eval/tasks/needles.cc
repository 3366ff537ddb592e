// RULER's needles in a haystack (scripts/data/synthetic/niah.py): "One of the special magic numbers for KEY is: VALUE."
// stands between the lines or sentences of another text, once or several times, and some of the values are asked for.
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/tasks/haystack.h"
#include "eval/tasks/task.h"
#include "eval/tasks/words.h"

namespace qwen_infer::tasks {

namespace {

enum class Haystack { kNoise, kText, kNeedles };
enum class Thing { kWord, kNumber, kUuid };

struct Needles {
  Haystack haystack = Haystack::kText;
  Thing key = Thing::kWord;
  Thing value = Thing::kNumber;
  size_t keys = 1;
  size_t values = 1;   // of each key
  size_t queries = 1;  // keys that are asked for
};

std::string RandomNumber(eval::Random& random) {
  constexpr size_t kLeast = 1'000'000;
  constexpr size_t kBeyond = 10'000'000;
  return std::to_string(kLeast + random.Below(kBeyond - kLeast));
}

// Version 4: 4 of its bits are 0100, 2 are 10 (RFC 9562).
std::string RandomUuid(eval::Random& random) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : std::string_view("xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx")) {
    if (c == 'x') {
      text += kDigits[random.Below(kDigits.size())];
    } else {
      text += c == 'y' ? kDigits[8 + random.Below(4)] : c;
    }
  }
  return text;
}

std::string RandomThing(Thing thing, eval::Random& random) {
  switch (thing) {
    case Thing::kWord: return RandomPair(random);
    case Thing::kNumber: return RandomNumber(random);
    case Thing::kUuid: return RandomUuid(random);
  }
  return "";
}

std::string NameOfMany(Thing thing) { return thing == Thing::kUuid ? "uuids" : "numbers"; }
std::string NameOfOne(Thing thing) { return thing == Thing::kUuid ? "uuid" : "number"; }

std::string NeedleText(Thing value_type, const std::string& key, const std::string& value) {
  return "One of the special magic " + NameOfMany(value_type) + " for " + key + " is: " + value + ".";
}

// "a, b, and c".
std::string Enumerated(const std::vector<std::string>& names) {
  std::string text = names.front();
  for (size_t i = 1; i < names.size(); ++i) text += (i + 1 == names.size() ? ", and " : ", ") + names[i];
  return text;
}

std::string Context(const Needles& needles, const Material& material, const Request& request,
                    const std::vector<std::string>& hidden, eval::Random& random) {
  if (needles.haystack == Haystack::kText && !material.sentences.empty()) {
    return InsertIntoSentences(material.sentences, request.size, hidden, random);
  }
  // A line for each needle to stand before.
  std::vector<std::string> lines(static_cast<size_t>(request.size) + hidden.size() - 1, std::string(kNoise));
  if (needles.haystack == Haystack::kNeedles) {
    for (std::string& line : lines) {
      line = NeedleText(needles.value, RandomThing(needles.key, random), RandomThing(needles.value, random));
    }
  }
  return InsertIntoLines(std::move(lines), hidden, random);
}

Example Make(const Needles& needles, const Material& material, const Request& request, eval::Random& random) {
  std::vector<std::string> hidden;
  std::vector<std::string> queries;
  Example example;
  for (size_t key = 0; key < needles.keys; ++key) {
    const std::string name = RandomThing(needles.key, random);
    const bool is_asked_for = key < needles.queries;  // in a random place all the same
    if (is_asked_for) queries.push_back(name);
    for (size_t i = 0; i < needles.values; ++i) {
      const std::string value = RandomThing(needles.value, random);
      if (is_asked_for) example.references.push_back(value);
      hidden.push_back(NeedleText(needles.value, name, value));
    }
  }
  const std::string context = Context(needles, material, request, random.Shuffled(std::move(hidden)), random);
  const std::string query = Enumerated(queries);
  if (example.references.size() == 1) {
    const std::string type = NameOfOne(needles.value);
    example.question = "A special magic " + type + " is hidden within the following text. Make sure to memorize it. " +
                       "I will quiz you about the " + type + " afterwards.\n" + context +
                       "\nWhat is the special magic " + type + " for " + query + " mentioned in the provided text?";
    example.answer_start = " The special magic " + type + " for " + query + " mentioned in the provided text is";
    return example;
  }
  const std::string type = NameOfMany(needles.value);
  example.question = "Some special magic " + type +
                     " are hidden within the following text. Make sure to memorize it. " +
                     "I will quiz you about the " + type + " afterwards.\n" + context +
                     "\nWhat are all the special magic " + type + " for " + query + " mentioned in the provided text?";
  example.answer_start = " The special magic " + type + " for " + query + " mentioned in the provided text are";
  return example;
}

}  // namespace

Example MakeNiahSingle1(const Material& material, const Request& request, eval::Random& random) {
  return Make({.haystack = Haystack::kNoise}, material, request, random);
}

Example MakeNiahSingle2(const Material& material, const Request& request, eval::Random& random) {
  return Make({}, material, request, random);
}

Example MakeNiahSingle3(const Material& material, const Request& request, eval::Random& random) {
  return Make({.value = Thing::kUuid}, material, request, random);
}

Example MakeNiahMultikey1(const Material& material, const Request& request, eval::Random& random) {
  return Make({.keys = 4}, material, request, random);
}

Example MakeNiahMultikey2(const Material& material, const Request& request, eval::Random& random) {
  return Make({.haystack = Haystack::kNeedles}, material, request, random);
}

Example MakeNiahMultikey3(const Material& material, const Request& request, eval::Random& random) {
  return Make({.haystack = Haystack::kNeedles, .key = Thing::kUuid, .value = Thing::kUuid}, material, request, random);
}

Example MakeNiahMultivalue(const Material& material, const Request& request, eval::Random& random) {
  return Make({.values = 4}, material, request, random);
}

Example MakeNiahMultiquery(const Material& material, const Request& request, eval::Random& random) {
  return Make({.keys = 4, .queries = 4}, material, request, random);
}

}  // namespace qwen_infer::tasks
