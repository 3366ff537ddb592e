// What a chat says of itself, in a line each.
#ifndef QWEN_INFER_APPS_CHAT_SUMMARY_H_
#define QWEN_INFER_APPS_CHAT_SUMMARY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "qwen_infer/engine.h"

namespace qwen_infer {

// "k=256" of all settings, which begin with it.
std::string BudgetIn(std::string_view settings);

// "top-k attention: 831,812 of 12,600,000 keys kept (6.6 %), mean mass 0.9375, ...", as python/qwen_infer.py has it.
std::string AttentionSummary(const LayerStatistics& total);

// "last answer: 20 tokens at 34.8/s, after 1,200 read at 220.6/s, 34 more were in the cache".
std::string SpeedSummary(const GenerationStatistics& statistics);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_CHAT_SUMMARY_H_
