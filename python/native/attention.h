// Attention as Python calls it: arrays in, an array and what was kept out.
#ifndef QWEN_INFER_PYTHON_ATTENTION_H_
#define QWEN_INFER_PYTHON_ATTENTION_H_

#include <nanobind/nanobind.h>

namespace qwen_infer::python {

void BindAttention(nanobind::module_& module);

}  // namespace qwen_infer::python

#endif  // QWEN_INFER_PYTHON_ATTENTION_H_
