#include "narrator.h"

#include <utility>

namespace qwen_infer::eval {

namespace {

// A long part says this often, in seconds, how far it is.
constexpr double kSayEvery = 15;

}  // namespace

void Narrator::Begin(std::string part) {
  part_ = std::move(part);
  Say("");
}

void Narrator::Add(double cost, int64_t tokens) {
  progress_.Add(cost);
  if (watch_.Seconds() >= said_ + kSayEvery) Say(", " + std::to_string(tokens) + " tokens read");
}

void Narrator::Say(const std::string& where) {
  said_ = watch_.Seconds();
  const std::string left = progress_.Text(said_);
  say_(part_ + where + (left.empty() ? "" : " (" + left + ")"));
}

}  // namespace qwen_infer::eval
