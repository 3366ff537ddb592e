// What the subcommands that measure a model have in common: how they begin, tell how far they are, and end.
#ifndef QWEN_INFER_APPS_MEASURING_H_
#define QWEN_INFER_APPS_MEASURING_H_

#include <memory>
#include <span>
#include <string>

#include "eval/run.h"
#include "interrupts.h"
#include "qwen_infer/engine.h"
#include "report_folder.h"

namespace qwen_infer {

// The model with full attention, whatever is measured later. Throws Cancelled if it is interrupted.
std::shared_ptr<Model> LoadToMeasure(const std::string& path, const InterruptFlag& interrupts);

// Says what there is to say on stderr. `interrupts` must outlive it.
eval::Listener ListenerOf(const InterruptFlag& interrupts);

// The report: its text on stdout, all of its files in the folder, and the name of its page on stderr. Throws
// std::runtime_error if a file cannot be written; the text is out by then.
void Publish(const ReportFolder& folder, std::span<const ReportPart> parts, const std::string& text);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_MEASURING_H_
