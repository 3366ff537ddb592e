// The part of --help that is ours. Everything in it that can be derived is derived from the table of flags.
#ifndef QWEN_INFER_APPS_HELP_H_
#define QWEN_INFER_APPS_HELP_H_

#include <string>

namespace qwen_infer {

// Our flags with range, default and a sentence each, and the settings that we recommend by use case. No final newline.
std::string TopKHelp();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_HELP_H_
