// "Did you mean ...?": the known name that a mistyped one is closest to.
#ifndef QWEN_INFER_APPS_NEAREST_H_
#define QWEN_INFER_APPS_NEAREST_H_

#include <span>
#include <string_view>

namespace qwen_infer {

// The element of `known` with the smallest Levenshtein distance to `name` (the first of several); empty if all of them
// differ in more than a third of the letters (rounded up), when a guess would only confuse.
std::string_view NearestName(std::string_view name, std::span<const std::string_view> known);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_NEAREST_H_
