// qwen-infer chat: a conversation, in the terminal or with one message from standard input, on the engine.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "atomic_file.h"
#include "chat_flags.h"
#include "chat_loop.h"
#include "chat_summary.h"
#include "conversation.h"
#include "engine/model_check.h"
#include "flags.h"
#include "help.h"
#include "interruptible.h"
#include "interrupts.h"
#include "line_reader.h"
#include "report.h"
#include "run.h"
#include "shared/fixed.h"
#include "subcommands.h"
#include "text_file.h"
#include "tool_input.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kName = "chat";

struct Plan {
  CommandLine line;
  ChatFlags flags;
  std::string first_message;  // empty: from standard input
};

void PrintHelp() {
  std::cout
      << "qwen-infer chat: talk to the model in the terminal. Example:\n"
         "  qwen-infer chat -m model.gguf --use_top_k_attention\n"
         "\n"
         "  # a first message that is a file and a question about it\n"
         "  qwen-infer chat -m model.gguf --use_top_k_attention -c 32768 -f long.txt -p \"What is this about?\"\n"
         "\n"
         "In a terminal it then waits for messages; /help lists its commands. Where standard input is no\n"
         "terminal, all of it is one message, which -p or -f take the place of, and the answer alone is on\n"
         "standard output.\n"
         "\n"
      << TopKHelp()
      << "\n"
         "\n"
         "flags, named as llama-cli's (names with underscores or dashes):\n"
      << ChatFlagHelp()
      << "\n"
         "Images, LoRA, draft models, grammars and the rest of llama.cpp's flags: qwen-infer serve and complete.\n";
}

topk::Status ReadFirstMessage(Plan& plan) {
  ChatFlags& flags = plan.flags;
  topk::Status status = CheckPrompt(flags.prompt);
  if (status.ok() && !flags.system_prompt_file.empty())
    status = ReadTextFile(flags.system_prompt_file, flags.system_prompt);
  if (status.ok() && !flags.file.empty()) status = ReadTextFile(flags.file, plan.first_message);
  if (status.ok() && !flags.file.empty() && plan.first_message.empty()) {
    status = topk::InvalidArgument(flags.file + " is empty, and was to be the first message: name another file");
  }
  if (!plan.first_message.empty() && !flags.prompt.empty()) plan.first_message += "\n\n";
  plan.first_message += flags.prompt;
  return status;
}

topk::Status MakePlan(Arguments arguments, Plan& plan) {
  topk::Status status = ParseCommandLine(arguments, plan.line);
  if (status.ok() && plan.line.use_top_k_attention) {
    status = ForceFlashAttention("on", std::getenv("LLAMA_ARG_FLASH_ATTN"), plan.line.llama);
  }
  const std::vector<std::string_view> rest(plan.line.llama.begin(), plan.line.llama.end());
  if (status.ok()) status = ParseChatFlags(rest, std::getenv("LLAMA_ARG_MODEL"), plan.flags);
  if (status.ok()) status = CheckFitsModel(plan.line.settings, plan.flags.model);
  if (status.ok()) status = ReadFirstMessage(plan);
  if (status.ok() && !plan.line.statistics_path.empty()) status = CheckWritable(plan.line.statistics_path);
  return status;
}

// Throws Cancelled if interrupted.
std::string ReadStandardInput(const InterruptFlag& interrupts) {
  std::string text;
  std::array<char, 65536> bytes = {};
  while (WaitForInput(interrupts)) {
    const ssize_t count = read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(bytes.data(), static_cast<size_t>(count));
    if (text.size() > kMostTextBytes) throw std::runtime_error(TooLong("standard input"));
  }
  throw Cancelled();
}

std::shared_ptr<Model> LoadModel(const Plan& plan, const InterruptFlag& interrupts) {
  ModelOptions options = {.path = plan.flags.model, .flash_attention = plan.flags.flash_attention};
  if (plan.line.use_top_k_attention) options.top_k_attention = plan.line.settings_text;
  options.on_progress = [&](float /*share*/) { return !interrupts.IsRaised(); };
  return Model::Load(options);
}

ConversationOptions OptionsOf(const ChatFlags& flags, const Model& model) {
  ConversationOptions options = {
      .session = {.cache_type = ParseCacheType(flags.cache_type_k), .n_threads = flags.threads},
      .generation = flags.generation,
      .enable_thinking = flags.reasoning,
      .system_prompt = flags.system_prompt};
  if (flags.context_length > 0) options.session.context_length = flags.context_length;
  if (flags.context_length == 0) options.session.context_length = model.trained_context_length();
  return options;
}

void Greet(const Model& model, const Conversation& conversation) {
  std::cerr << model.path() << ": " << model.description() << ", " << WithCommas(conversation.context_length())
            << " tokens of context, "
            << (model.has_top_k_attention() ? "top-k attention, " + BudgetIn(model.attention()) : "full attention")
            << "\n"
            << "/help lists the commands\n";
}

std::unique_ptr<LineReader> MakeReader(const ChatFlags& flags, const InterruptFlag& interrupts) {
  std::unique_ptr<LineReader> editing = flags.simple_io ? nullptr : MakeEditingReader(interrupts);
  return editing != nullptr ? std::move(editing) : MakePlainReader(interrupts);
}

// What is known at the end. Returns an exit code.
int Finish(const Plan& plan, const Model& model, const Conversation& conversation) {
  const bool top_k = plan.line.use_top_k_attention;
  const LayerStatistics total = top_k ? model.AttentionTotal() : LayerStatistics();
  if (top_k) std::cerr << AttentionSummary(total) << "\n";
  if (top_k && conversation.timings().AnyTokens() && total.sums.rows == 0) WarnOfFullAttention();
  if (plan.line.statistics_path.empty()) return kExitSuccess;
  const RunDescription run = {
      .subcommand = std::string(kName), .model = plan.flags.model, .use_top_k_attention = top_k};
  const std::string report =
      ReportJson(run, conversation.timings(), top_k ? model.AttentionStatisticsJson() : std::string());
  const topk::Status status = WriteFileAtomically(plan.line.statistics_path, report);
  if (status.ok()) return kExitSuccess;
  PrintError(status.message());
  return kExitFailure;
}

int Chat(const Plan& plan, InterruptFlag& interrupts) {
  const bool in_terminal = isatty(STDIN_FILENO) != 0;
  std::string message = plan.first_message;
  if (message.empty() && !in_terminal) {
    message = ReadStandardInput(interrupts);
    if (message.empty())
      throw std::invalid_argument("standard input, which was to be the message, is empty: give one with -p TEXT");
  }
  const std::shared_ptr<Model> model = LoadModel(plan, interrupts);
  Conversation conversation(model, OptionsOf(plan.flags, *model));
  ChatLoop loop(*model, conversation, interrupts);
  if (in_terminal) Greet(*model, conversation);
  int code = message.empty() ? kExitSuccess : loop.Answer(message);
  const bool was_one_turn = !message.empty() && plan.flags.single_turn;
  if (in_terminal && !was_one_turn) code = loop.Run(*MakeReader(plan.flags, interrupts), plan.flags.single_turn);
  const int end_code = Finish(plan, *model, conversation);
  return code == kExitSuccess ? end_code : code;
}

}  // namespace

int RunChat(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  Plan plan;
  if (const topk::Status status = MakePlan(arguments, plan); !status.ok()) return RefuseUsage(kName, status);
  if (plan.line.use_top_k_attention) NoteUnusedVariable();
  SetLogLevel(plan.flags.verbose ? LogLevel::kAll : LogLevel::kErrors);
  return RunInterruptible([&](InterruptFlag& interrupts) { return Chat(plan, interrupts); });
}

}  // namespace qwen_infer
