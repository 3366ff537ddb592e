#include "measuring.h"

#include <iostream>
#include <stdexcept>
#include <string_view>

namespace qwen_infer {

std::shared_ptr<Model> LoadToMeasure(const std::string& path, const InterruptFlag& interrupts) {
  return Model::Load(
      {.path = path, .top_k_attention = "", .on_progress = [&](float /*share*/) { return !interrupts.IsRaised(); }});
}

eval::Listener ListenerOf(const InterruptFlag& interrupts) {
  return {.say = [](std::string_view what) { std::cerr << what << "\n"; },
          .is_interrupted = [&] { return interrupts.IsRaised(); }};
}

void Publish(const ReportFolder& folder, std::span<const ReportPart> parts, const std::string& text) {
  const topk::Status status = folder.Write(parts);
  std::cout << text << std::flush;
  if (!status.ok()) throw std::runtime_error(status.message());
  std::cerr << folder.File("report.html") << "\n";
}

}  // namespace qwen_infer
