// Lines with editing and history: libedit.
#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <string>
#include <string_view>

#include "interrupts.h"
#include "line_reader.h"

namespace qwen_infer {

namespace {

constexpr int kHistoryLines = 1000;
constexpr wchar_t kReplacement = 0xFFFD;

// Terminals that know bracketed paste put marks around what is pasted, so that its newlines end no line.
constexpr const char* kPasteBegins = "\033[200~";
constexpr std::wstring_view kPasteEnds = L"\033[201~";
constexpr const char* kPasteMarksOn = "\033[?2004h";
constexpr const char* kPasteMarksOff = "\033[?2004l";

bool IsDumb() {
  const char* terminal = std::getenv("TERM");
  return terminal == nullptr || *terminal == '\0' || std::string_view(terminal) == "dumb";
}

// libedit converts characters by the locale, which in containers is often none.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

class EditingReader final : public LineReader {
 public:
  explicit EditingReader(const InterruptFlag& interrupts)
      // The prompt must be seen, wherever the answers go.
      : interrupts_(interrupts), out_(isatty(STDOUT_FILENO) != 0 ? stdout : stderr), marks_pastes_(!IsDumb()) {
    UseUtf8();
    editor_ = el_init("qwen-infer", stdin, out_, stderr);
    history_ = history_init();
    HistEvent event = {};
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_PROMPT, &EditingReader::Prompt);
    el_set(editor_, EL_GETCFN, &EditingReader::ReadCharacter);
    el_set(editor_, EL_SIGNAL, 1);  // redraws after a change of the window's size and after Ctrl-Z
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(editor_, EL_ADDFN, "take-paste", "Take what is pasted as it is", &EditingReader::TakePaste);
    el_set(editor_, EL_BIND, kPasteBegins, "take-paste", nullptr);
    el_source(editor_, nullptr);  // ~/.editrc
  }

  ~EditingReader() override {
    el_end(editor_);
    history_end(history_);
  }

  EditingReader(EditingReader&&) = delete;  // libedit has its address
  EditingReader& operator=(EditingReader&&) = delete;
  EditingReader(const EditingReader&) = delete;
  EditingReader& operator=(const EditingReader&) = delete;

  Line Read(std::string_view prompt) override {
    prompt_ = prompt;
    interrupted_ = false;
    thrown_away_.clear();
    if (marks_pastes_) std::fputs(kPasteMarksOn, out_);
    int count = 0;
    const char* text = el_gets(editor_, &count);
    if (marks_pastes_) std::fputs(kPasteMarksOff, out_);
    if (text == nullptr || count <= 0) std::fputs("\n", out_);
    std::fflush(out_);
    if (interrupted_ && interrupts_.ending_signal() == 0) {
      return {.kind = Line::Kind::kInterrupted, .text = thrown_away_};
    }
    if (text == nullptr || count <= 0) return {.kind = Line::Kind::kEnd};
    Line line = {.kind = Line::Kind::kText, .text = std::string(text, static_cast<size_t>(count))};
    if (line.text.ends_with('\n')) line.text.pop_back();
    Remember(line.text);
    return line;
  }

 private:
  static EditingReader& Of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<EditingReader*>(self);
  }

  static char* Prompt(EditLine* editor) { return Of(editor).prompt_.data(); }

  // One character; 0 at the end of the file, -1 if interrupted.
  static int ReadCharacter(EditLine* editor, wchar_t* out) {
    EditingReader& self = Of(editor);
    std::mbstate_t state = {};
    while (true) {
      if (!WaitForInput(self.interrupts_)) return self.Interrupt();
      char byte = 0;
      const ssize_t count = read(STDIN_FILENO, &byte, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return 0;
      const size_t length = std::mbrtowc(out, &byte, 1, &state);
      constexpr auto kIncomplete = static_cast<size_t>(-2);
      constexpr auto kInvalid = static_cast<size_t>(-1);
      if (length == kIncomplete) continue;
      if (length == kInvalid) *out = kReplacement;
      return 1;
    }
  }

  int Interrupt() {
    const LineInfo* line = el_line(editor_);
    thrown_away_.assign(line->buffer, line->lastchar);
    interrupted_ = true;
    return -1;
  }

  static unsigned char TakePaste(EditLine* editor, int /*key*/) {
    std::wstring text;
    wchar_t character = 0;
    while (!text.ends_with(kPasteEnds)) {
      if (el_wgetc(editor, &character) != 1) return CC_EOF;
      text += character == L'\r' ? L'\n' : character;
    }
    text.resize(text.size() - kPasteEnds.size());
    return el_winsertstr(editor, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  void Remember(const std::string& line) {
    if (line.find_first_not_of(" \t\n") == std::string::npos) return;
    HistEvent event = {};
    history(history_, &event, H_ENTER, line.c_str());
  }

  const InterruptFlag& interrupts_;
  FILE* out_;
  bool marks_pastes_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  bool interrupted_ = false;
  std::string thrown_away_;
};

}  // namespace

std::unique_ptr<LineReader> MakeEditingReader(const InterruptFlag& interrupts) {
  return std::make_unique<EditingReader>(interrupts);
}

}  // namespace qwen_infer
