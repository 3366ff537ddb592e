#include "chat_loop.h"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "chat_commands.h"
#include "chat_flags.h"
#include "chat_summary.h"
#include "engine/text_stream.h"
#include "message_reader.h"
#include "run.h"
#include "saved_chat.h"
#include "shared/fixed.h"
#include "text_file.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kMoreRoom =
    "/reset starts a new conversation, -c at the start of the program gives more room";

// What libedit makes of bytes that begin no character: U+FFFD.
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr std::string_view kDropped = "(interrupted before the answer began: the message and its files are dropped)";

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string NotUtf8(size_t byte) {
  return "the message is not UTF-8, its byte " + std::to_string(byte) +
         " begins no character: convert it (iconv -t UTF-8)";
}

// As a shell would have read it.
std::string WithHome(const std::string& path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

// The reason without the list of all settings that follows.
std::string FirstLine(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

std::string Count(size_t n, std::string_view what) {
  return WithCommas(static_cast<int64_t>(n)) + " " + std::string(what) + (n == 1 ? "" : "s");
}

std::string SizeOf(const Conversation& conversation) {
  return Count(conversation.messages().size(), "message") + ", " +
         Count(static_cast<size_t>(conversation.n_tokens()), "token");
}

}  // namespace

ChatLoop::ChatLoop(Model& model, Conversation& conversation, InterruptFlag& interrupts)
    : model_(model), conversation_(conversation), interrupts_(interrupts) {
  conversation_.SetReadingListener([this](int64_t read, int64_t total) { progress_.Show(read, total); });
  conversation_.SetInterruptCheck([this] { return interrupts_.IsRaised(); });
}

int ChatLoop::Answer(const std::string& message) {
  if (const size_t valid = ValidUtf8(message); valid != message.size()) {
    PrintError(NotUtf8(valid));
    return kExitFailure;
  }
  const std::string text = std::exchange(files_, {}) + message;
  return Print([&](const OnText& on_text) { return conversation_.Say(text, on_text); });
}

int ChatLoop::Print(const std::function<GenerationResult(const OnText&)>& say) {
  progress_.Start();
  bool line_is_open = false;
  int code = kExitSuccess;
  std::string note;
  try {
    const GenerationResult result = say([&](std::string_view text) {
      progress_.Clear();
      std::cout << text << std::flush;
      line_is_open = !text.ends_with('\n');
    });
    if (result.finish_reason == FinishReason::kCancelled) {
      code = kExitInterrupted;
      note = result.text.empty() ? std::string(kDropped) : "(interrupted)";
    }
    if (result.finish_reason == FinishReason::kLength) note = "(ended by --predict)";
    if (result.finish_reason == FinishReason::kContextFull) {
      note = "(the context of " + WithCommas(conversation_.context_length()) +
             " tokens is full: " + std::string(kMoreRoom) + ")";
    }
  } catch (const ContextFull& error) {
    code = kExitFailure;
    note = "error: " + std::string(error.what()) + ": " + std::string(kMoreRoom);
  } catch (const std::exception& error) {
    code = kExitFailure;
    note = "error: " + std::string(error.what());
  }
  progress_.Clear();
  if (line_is_open) std::cout << "\n";
  std::cout << std::flush;
  if (!note.empty()) std::cerr << note << "\n";
  return code;
}

int ChatLoop::Run(LineReader& lines, bool single_turn) {
  MessageReader reader(lines);
  int interrupts_in_a_row = 0;
  while (interrupts_.ending_signal() == 0) {
    interrupts_.Lower();
    const Message message = reader.Read();
    if (message.kind == Line::Kind::kEnd) break;
    if (message.kind == Line::Kind::kInterrupted) {
      if (!IsBlank(message.text)) continue;
      if (++interrupts_in_a_row == 2) return kExitInterrupted;
      std::cerr << "(Ctrl-C again, Ctrl-D or /exit ends the chat)\n";
      continue;
    }
    interrupts_in_a_row = 0;
    if (IsBlank(message.text)) continue;
    if (const size_t byte = message.text.find(kReplacement); byte != std::string::npos) {
      PrintError(NotUtf8(byte));
      if (single_turn) return kExitFailure;
      continue;
    }
    if (message.may_be_command && IsCommand(message.text)) {
      if (Obey(message.text) == Next::kEnd) break;
      continue;
    }
    const int code = Answer(message.text);
    if (single_turn) return code;
  }
  return kExitSuccess;
}

ChatLoop::Next ChatLoop::Obey(const std::string& line) {
  Command command;
  if (const topk::Status status = ParseCommand(line, command); !status.ok()) {
    PrintError(status.message());
    return Next::kGoOn;
  }
  try {
    switch (command.name) {
      case CommandName::kHelp: std::cout << CommandHelp() << std::flush; break;
      case CommandName::kStats: ShowStatistics(); break;
      case CommandName::kBudget:
        ChangeAttention(command.argument.empty() ? "" : "k=" + command.argument);
        std::cout << BudgetIn(model_.attention()) << "\n" << std::flush;
        break;
      case CommandName::kAttention:
        ChangeAttention(command.argument);
        std::cout << model_.attention() << "\n" << std::flush;
        break;
      case CommandName::kSet: Set(command.argument); break;
      case CommandName::kRead: ReadFile(WithHome(command.argument)); break;
      case CommandName::kRegenerate:
        Print([this](const OnText& on_text) { return conversation_.SayAgain(on_text); });
        break;
      case CommandName::kSave:
        conversation_.Save(WithHome(command.argument));
        std::cerr << "saved " << SizeOf(conversation_) << "\n";
        break;
      case CommandName::kLoad: Load(WithHome(command.argument)); break;
      case CommandName::kReset:
        conversation_.Reset();
        files_.clear();
        break;
      case CommandName::kExit: return Next::kEnd;
    }
  } catch (const std::exception& error) {
    PrintError(FirstLine(error.what()));
  }
  return Next::kGoOn;
}

void ChatLoop::ShowStatistics() const {
  std::cout << "context: " << WithCommas(conversation_.n_tokens()) << " of "
            << WithCommas(conversation_.context_length()) << " tokens, "
            << Count(conversation_.messages().size(), "message") << "\n"
            << SpeedSummary(conversation_.last_answer()) << "\n"
            << (model_.has_top_k_attention() ? AttentionSummary(model_.AttentionTotal()) : "attention is full") << "\n"
            << std::flush;
}

void ChatLoop::ChangeAttention(const std::string& settings) {
  if (!model_.has_top_k_attention()) {
    throw std::invalid_argument("attention is full here: top-k attention needs --use_top_k_attention");
  }
  if (!settings.empty()) model_.SetAttention(settings);
}

void ChatLoop::Set(const std::string& name_and_value) {
  GenerateOptions options = conversation_.generation();
  if (!name_and_value.empty()) {
    if (const topk::Status status = ChangeGeneration(name_and_value, options); !status.ok()) {
      return PrintError(status.message());
    }
    conversation_.SetGeneration(options);
  }
  std::cout << ShowGeneration(options) << std::flush;
}

void ChatLoop::Load(const std::string& path) {
  const std::optional<std::string> saved = conversation_.Load(path);
  std::cerr << "loaded " << SizeOf(conversation_) << "\n";
  if (!saved) return;
  if (!model_.has_top_k_attention()) {
    if (!saved->empty()) {
      std::cerr << "it was read with top-k attention, " << BudgetIn(*saved)
                << ", and goes on with full attention: --use_top_k_attention at the start of the program keeps it\n";
    }
    return;
  }
  if (saved->empty()) {
    std::cerr << "it was read with full attention, and goes on with top-k attention, " << BudgetIn(model_.attention())
              << "\n";
    return;
  }
  const RestoredSettings restored = SettingsToRestore(*saved, model_.attention());
  if (restored.settings.empty()) return;
  model_.ReplaceAttention(restored.settings);
  std::cerr << "attention goes back to what it was then: " << restored.changes << "\n";
}

void ChatLoop::ReadFile(const std::string& path) {
  std::string text;
  if (const topk::Status status = ReadTextFile(path, text); !status.ok()) return PrintError(status.message());
  if (text.empty()) return PrintError(path + " is empty, so there is nothing to read");
  const std::string files = files_ + "--- File: " + path + " ---\n" + text + (text.ends_with('\n') ? "" : "\n");
  const auto n_tokens = static_cast<int64_t>(model_.Tokenize(files).size());
  const int64_t n_free = conversation_.context_length() - conversation_.n_tokens();
  if (n_tokens >= n_free) {
    const std::string with = files_.empty() ? " takes " : " and what was read before take ";
    return PrintError(path + with + WithCommas(n_tokens) + " tokens, and of the context of " +
                      WithCommas(conversation_.context_length()) + " there are " + WithCommas(n_free) +
                      " left, so it was not read: " + std::string(kMoreRoom));
  }
  files_ = files;
  std::cerr << Count(static_cast<size_t>(n_tokens), "token") << " go in front of the next message\n";
}

}  // namespace qwen_infer
