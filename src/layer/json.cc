#include "layer/json.h"

#include <algorithm>
#include <new>
#include <set>
#include <stdexcept>
#include <vector>

namespace topk {

namespace {

using nlohmann::json;

constexpr size_t kLongestQuote = 100;

std::string Shortened(std::string_view text) {
  std::string out(text.substr(0, kLongestQuote));
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; }, '?');
  return text.size() > kLongestQuote ? out + "..." : out;
}

// Thrown out of the parser, which has no other way to be stopped; does not leave ParseJson.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Inspector {
 public:
  explicit Inspector(int max_depth) : max_depth_(max_depth) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        CheckDepth(depth);
        keys_.emplace_back();
        break;
      case json::parse_event_t::array_start: CheckDepth(depth); break;
      case json::parse_event_t::object_end: keys_.pop_back(); break;
      case json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys_.back().insert(key).second) throw Refused("the key " + Quoted(key) + " stands twice in an object");
        break;
      }
      case json::parse_event_t::array_end:
      case json::parse_event_t::value: break;
    }
    return true;
  }

 private:
  void CheckDepth(int depth) const {
    if (depth >= max_depth_) {
      throw Refused("values are nested more than " + std::to_string(max_depth_) + " levels deep");
    }
  }

  int max_depth_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

std::string Quoted(std::string_view text) { return "'" + Shortened(text) + "'"; }

Status ParseJson(std::string_view text, int max_depth, json& value) {
  try {
    value = json::parse(text.begin(), text.end(), Inspector(max_depth));
    return {};
  } catch (const json::parse_error& error) {
    // Without the library's "[json.exception.parse_error.101] ".
    const std::string_view what = error.what();
    return InvalidArgument("not valid JSON: " + Shortened(what.substr(what.find(']') + 2)));
  } catch (const Refused& refused) {
    return InvalidArgument(refused.what());
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "no memory to read JSON"};
  } catch (const std::exception& error) {  // numbers beyond f64: json::out_of_range
    return InvalidArgument("not valid JSON: " + Shortened(error.what()));
  }
}

}  // namespace topk
