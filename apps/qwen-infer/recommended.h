// Recommended settings as a table for --help, from the file that README and Python have them from as well.
#ifndef QWEN_INFER_APPS_RECOMMENDED_H_
#define QWEN_INFER_APPS_RECOMMENDED_H_

#include <string>

namespace qwen_infer {

// A line for each range of visible keys that was measured, under a heading; how it was measured. No final newline.
std::string RecommendedTable();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_RECOMMENDED_H_
