#include "attention/case.h"

#include <cmath>

#include "attention/inputs.h"

namespace qwen_infer::attention_bench {

float Case::Scale() const {
  return inputs != nullptr ? inputs->recording.input.scale : 1.0F / std::sqrt(static_cast<float>(heads.d));
}

std::string Case::InputsName() const { return inputs != nullptr ? inputs->name : "gaussian"; }

std::string Case::Name() const {
  return std::to_string(n_query) + (n_query == 1 ? " query, " : " queries, ") + std::to_string(n_key) +
         " keys, heads " + std::to_string(heads.n_head) + ":" + std::to_string(heads.n_head_kv) + ":" +
         std::to_string(heads.d) + ", " + ggml_type_name(type) +
         (n_visible > 0 ? ", " + std::to_string(n_visible) + " visible" : "") +
         (inputs != nullptr ? ", " + inputs->name : "");
}

std::string_view NameOf(Method method) {
  constexpr std::array<std::string_view, kMethodCount> kNames = {
      "stock_flash", "stock_products", "topk_f32", "topk_int8", "topk_int16", "dense", "as_used"};
  return kNames[IndexOf(method)];
}

}  // namespace qwen_infer::attention_bench
