// Where the figures of a benchmark come from.
#ifndef QWEN_INFER_APPS_PROVENANCE_H_
#define QWEN_INFER_APPS_PROVENANCE_H_

#include <map>
#include <string>

namespace qwen_infer {

// "2026-01-31", local time.
std::string Today();

// Of this program and what it runs on, by name.
std::map<std::string, std::string> SoftwareVersions();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_PROVENANCE_H_
