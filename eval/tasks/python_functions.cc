#include "eval/tasks/python_functions.h"

#include <algorithm>
#include <optional>
#include <sstream>

namespace qwen_infer::tasks {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kQuotes = "\"\"\"";

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view Trimmed(std::string_view line) {
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1);
}

bool BeginsFunction(std::string_view line) { return line.starts_with("def ") || line.starts_with("async def "); }

// A line of a function's: empty, indented, or the end of parameters that stand below each other.
bool Continues(std::string_view line) {
  return Trimmed(line).empty() || kBlanks.find(line.front()) != std::string_view::npos || line.front() == ')';
}

std::string_view NameIn(std::string_view line) {
  const size_t begin = line.find("def ") + std::string_view("def ").size();
  return Trimmed(line.substr(begin, std::min(line.find('('), line.size()) - begin));
}

// The docstring of the function that these lines are; nothing if it has none in three double quotes.
std::optional<std::string_view> DocstringIn(const std::vector<std::string_view>& lines, std::string_view code) {
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!Trimmed(lines[i]).ends_with(':')) continue;
    const std::string_view first = Trimmed(lines[i + 1]);
    if (!first.starts_with(kQuotes) && !first.starts_with("r\"\"\"")) return std::nullopt;
    const size_t begin = static_cast<size_t>(first.data() - code.data()) + first.find(kQuotes) + kQuotes.size();
    const size_t end = code.find(kQuotes, begin);
    if (end == std::string_view::npos) return std::nullopt;
    return code.substr(begin, end - begin);
  }
  return std::nullopt;
}

// The words before the first empty line.
std::vector<std::string> FirstParagraph(std::string_view docstring) {
  std::vector<std::string> words;
  for (const std::string_view line : LinesOf(docstring)) {
    if (Trimmed(line).empty() && !words.empty()) break;
    std::istringstream stream{std::string(line)};
    for (std::string word; stream >> word;) words.push_back(word);
  }
  return words;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

std::optional<PythonFunction> FunctionIn(std::string_view code) {
  constexpr size_t kFewestWords = 4;
  constexpr size_t kMostWords = 40;
  constexpr size_t kFewestLetters = 5;
  const std::vector<std::string_view> lines = LinesOf(code);
  const std::optional<std::string_view> docstring = DocstringIn(lines, code);
  if (!docstring) return std::nullopt;
  const std::vector<std::string> words = FirstParagraph(*docstring);
  PythonFunction function = {
      .name = std::string(NameIn(lines.front())), .description = Joined(words), .code = std::string(code)};
  const bool is_good = words.size() >= kFewestWords && words.size() <= kMostWords &&
                       function.name.size() >= kFewestLetters &&
                       function.description.find(function.name) == std::string::npos;
  return is_good ? std::optional(function) : std::nullopt;
}

}  // namespace

std::vector<PythonFunction> FunctionsOf(std::string_view source) {
  std::vector<PythonFunction> functions;
  const std::vector<std::string_view> lines = LinesOf(source);
  for (size_t first = 0; first < lines.size(); ++first) {
    if (!BeginsFunction(lines[first])) continue;
    size_t last = first;
    for (size_t i = first + 1; i < lines.size() && Continues(lines[i]); ++i) {
      if (!Trimmed(lines[i]).empty()) last = i;
    }
    const auto begin = static_cast<size_t>(lines[first].data() - source.data());
    const auto end = static_cast<size_t>(lines[last].data() - source.data()) + lines[last].size();
    std::optional<PythonFunction> function = FunctionIn(source.substr(begin, end - begin));
    if (function) functions.push_back(*std::move(function));
  }
  return functions;
}

}  // namespace qwen_infer::tasks
