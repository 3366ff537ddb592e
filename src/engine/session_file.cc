// A session's file is one of llama.cpp's for a sequence: u32 magic, u32 version, u32 count, `count` tokens, the cache.
// Ours has a header in front of the tokens, as if they were some. After the cache, where llama.cpp does not look, come
// the program's note, its length as u64, and the hash of all that. So the cache goes straight between file and context,
// and yet nothing is taken from a file before it is known to be whole and to fit.
#include <llama.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/log.h"
#include "engine/model_file.h"
#include "engine/session_impl.h"
#include "files/atomic_file.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

struct Header {
  std::array<char, 8> magic = {'Q', 'I', 's', 'e', 's', 's', '0', '2'};
  uint64_t model = 0;  // Fingerprint
  uint32_t cache_type = 0;
  uint32_t flash_attention = 0;  // changes the layout of V

  bool operator==(const Header&) const = default;
};
constexpr size_t kHeaderTokens = sizeof(Header) / sizeof(Token);
static_assert(sizeof(Header) % sizeof(Token) == 0);

Header HeaderOf(const Session::Impl& session) {
  Header header;
  header.model = session.model->impl().fingerprint;
  header.cache_type = static_cast<uint32_t>(session.options.cache_type);
  header.flash_attention = session.model->impl().flash_attention ? 1 : 0;
  return header;
}

[[noreturn]] void Refuse(const std::string& path, const std::string& reason) {
  throw FileError("cannot load the session " + path + ": " + reason);
}

// Of the first `size` bytes; nothing if there are fewer.
std::optional<uint64_t> HashOf(std::istream& file, uint64_t size) {
  constexpr uint64_t kPiece = uint64_t{1} << 20;  // a multiple of the hash's step
  std::vector<char> bytes(kPiece);
  Hash hash;
  while (size > 0) {
    const uint64_t count = std::min(size, kPiece);
    if (!file.read(bytes.data(), static_cast<std::streamsize>(count))) return std::nullopt;
    hash.Add(bytes.data(), count);
    size -= count;
  }
  return hash.value();
}

topk::Status AddNoteAndHash(const std::string& path, std::string_view note) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out | std::ios::ate);
  const uint64_t length = note.size();
  file.write(note.data(), static_cast<std::streamsize>(note.size()));
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file.flush();
  const auto size = static_cast<uint64_t>(file.tellp());
  file.seekg(0);
  const std::optional<uint64_t> hash = HashOf(file, size);
  if (!hash) return topk::InvalidArgument("cannot read what was written to " + path);
  file.seekp(0, std::ios::end);
  file.write(reinterpret_cast<const char*>(&*hash), sizeof(*hash));
  file.close();
  return file ? topk::Status() : topk::InvalidArgument("cannot write " + path + ": is the disk full?");
}

// What llama.cpp puts in front, and our header.
struct Start {
  uint32_t magic = 0, version = 0, n_tokens = 0;
  Header header;
};

// Nothing if it is no session.
std::optional<Start> ReadStart(std::istream& file) {
  Start start;
  file.seekg(0);
  for (uint32_t* number : {&start.magic, &start.version, &start.n_tokens}) {
    file.read(reinterpret_cast<char*>(number), sizeof(*number));
  }
  file.read(reinterpret_cast<char*>(&start.header), sizeof(start.header));
  const bool is_session = file && start.magic == LLAMA_STATE_SEQ_MAGIC && start.header.magic == Header().magic;
  return is_session ? std::optional(start) : std::nullopt;
}

// Whether saving to this path would destroy something else. An empty file is nothing.
bool IsSomethingElse(const std::string& path) {
  std::error_code error;
  if (const uintmax_t size = std::filesystem::file_size(path, error); error || size == 0) return false;
  std::ifstream file(path, std::ios::binary);
  return !ReadStart(file);
}

// The note of a file that is whole.
std::string ReadNote(std::istream& file, const std::string& path) {
  uint64_t length = 0;
  constexpr std::streamoff kTail = sizeof(length) + sizeof(uint64_t);  // with the hash
  file.seekg(-kTail, std::ios::end);
  const std::streamoff end = file.tellg();
  file.read(reinterpret_cast<char*>(&length), sizeof(length));
  if (!file || length > static_cast<uint64_t>(end)) Refuse(path, "the file is damaged or incomplete");
  std::string note(length, '\0');
  file.seekg(end - static_cast<std::streamoff>(length));
  file.read(note.data(), static_cast<std::streamsize>(length));
  return note;
}

// The number of tokens of the session, and the note; throws unless the file is whole and fits.
struct Content {
  size_t n_tokens = 0;
  std::string note;
};

Content Check(const Session::Impl& session, const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) Refuse(path, "there is no such file, or it cannot be read");
  const std::streamoff size = file.tellg();
  const std::optional<Start> found = ReadStart(file);
  if (!found) Refuse(path, "it is no session of this program");
  const Start& start = *found;
  if (start.version != LLAMA_STATE_SEQ_VERSION) {
    Refuse(path, "it was saved with another version of llama.cpp; read the text again and save it anew");
  }
  file.seekg(0);
  uint64_t stored = 0;
  const std::optional<uint64_t> hash = HashOf(file, static_cast<uint64_t>(size) - sizeof(stored));
  file.read(reinterpret_cast<char*>(&stored), sizeof(stored));
  if (!file || hash != stored || start.n_tokens < kHeaderTokens) Refuse(path, "the file is damaged or incomplete");

  const Header& header = start.header;
  const Header ours = HeaderOf(session);
  if (header.model != ours.model) Refuse(path, "it is of another model than " + session.model->path());
  if (header.cache_type != ours.cache_type) Refuse(path, "it has another kv_cache_type than this session");
  if (header.flash_attention != ours.flash_attention) {
    Refuse(path, "it was saved with flash attention switched the other way");
  }
  const size_t n_tokens = start.n_tokens - kHeaderTokens;
  if (n_tokens > static_cast<size_t>(session.options.context_length)) {
    Refuse(path, "it has " + std::to_string(n_tokens) + " tokens, more than context_length=" +
                     std::to_string(session.options.context_length) + ": raise that");
  }
  return {.n_tokens = n_tokens, .note = ReadNote(file, path)};
}

}  // namespace

void SaveSession(const Session::Impl& session, const std::string& path, std::string_view note) {
  if (IsSomethingElse(path)) {
    throw FileError("cannot save the session: " + path + " exists and is no session: give another name, or delete it");
  }
  const auto header = std::bit_cast<std::array<Token, kHeaderTokens>>(HeaderOf(session));
  std::vector<Token> tokens(header.begin(), header.end());
  tokens.insert(tokens.end(), session.tokens.begin(), session.tokens.end());
  ForgetErrors();
  const topk::Status status = ReplaceFileAtomically(path, [&](const std::string& temporary) {
    if (llama_state_seq_save_file(session.context.get(), temporary.c_str(), 0, tokens.data(), tokens.size()) == 0) {
      return topk::InvalidArgument(WithErrors("cannot write " + path));
    }
    return AddNoteAndHash(temporary, note);
  });
  if (!status.ok()) throw FileError("cannot save the session: " + status.message());
}

std::string LoadSession(Session::Impl& session, const std::string& path) {
  const auto [n_tokens, note] = Check(session, path);
  std::vector<Token> tokens(kHeaderTokens + n_tokens);
  size_t count = 0;
  session.Clear();
  ForgetErrors();
  // Without tokens there is no cache in the file that llama.cpp would take.
  const bool loaded = n_tokens == 0 || llama_state_seq_load_file(session.context.get(), path.c_str(), 0, tokens.data(),
                                                                 tokens.size(), &count) != 0;
  if (!loaded) {
    session.Clear();
    Refuse(path, WithErrors("llama.cpp does not take it"));
  }
  session.tokens.assign(tokens.begin() + kHeaderTokens, tokens.end());
  return note;
}

}  // namespace qwen_infer
