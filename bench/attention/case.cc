#include "attention/case.h"

namespace qwen_infer::attention_bench {

std::string Case::Name() const {
  return std::to_string(n_query) + (n_query == 1 ? " query, " : " queries, ") + std::to_string(n_key) +
         " keys, heads " + std::to_string(heads.n_head) + ":" + std::to_string(heads.n_head_kv) + ":" +
         std::to_string(heads.d) + ", " + ggml_type_name(type);
}

std::string_view NameOf(Method method) {
  constexpr std::array<std::string_view, kMethodCount> kNames = {"stock_flash", "stock_products", "topk_f32",
                                                                 "topk_int8", "dense"};
  return kNames[IndexOf(method)];
}

}  // namespace qwen_infer::attention_bench
