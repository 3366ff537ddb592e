// A chat in the terminal: what is typed goes to the model or is a command, what the model answers is printed as it
// comes. Ctrl-C ends an answer, and the chat only when it comes twice at an empty prompt.
#ifndef QWEN_INFER_APPS_CHAT_LOOP_H_
#define QWEN_INFER_APPS_CHAT_LOOP_H_

#include <functional>
#include <string>
#include <string_view>

#include "conversation.h"
#include "interrupts.h"
#include "line_reader.h"
#include "qwen_infer/engine.h"
#include "reading_progress.h"

namespace qwen_infer {

class ChatLoop {
 public:
  // All must outlive it.
  ChatLoop(Model& model, Conversation& conversation, InterruptFlag& interrupts);

  ChatLoop(const ChatLoop&) = delete;  // the conversation has its address
  ChatLoop& operator=(const ChatLoop&) = delete;

  // Says one message and prints the answer, notes about it on stderr. Returns an exit code.
  int Answer(const std::string& message);

  // Until the user has enough, or after one answer. Returns an exit code.
  int Run(LineReader& lines, bool single_turn);

 private:
  enum class Next { kGoOn, kEnd };

  using OnText = std::function<void(std::string_view)>;

  // Prints what `say` has the model answer.
  int Print(const std::function<GenerationResult(const OnText&)>& say);
  // Does what a command says.
  Next Obey(const std::string& line);
  void ShowStatistics() const;
  void ChangeAttention(const std::string& settings);
  // Changes how answers are generated, or nothing, and shows it.
  void Set(const std::string& name_and_value);
  // With the attention that the chat had, as far as this process can.
  void Load(const std::string& path);
  void ReadFile(const std::string& path);

  Model& model_;
  Conversation& conversation_;
  InterruptFlag& interrupts_;
  ReadingProgress progress_;
  std::string files_;  // go in front of the next message
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_CHAT_LOOP_H_
