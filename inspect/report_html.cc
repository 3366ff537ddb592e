// The page: what page/ has, the figures, and what was captured in base64, a block for each layer and setting that the
// page reads when it is looked at. Base64 needs no escaping, whatever the text is.
#include <base64.hpp>
#include <bit>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "figures_json.h"
#include "report.h"

namespace qwen_infer::inspect {

namespace {

static_assert(std::endian::native == std::endian::little, "the page reads numbers as they are in memory");

template <typename T>
void AppendBytes(std::span<const T> numbers, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
}

void AppendBlock(const std::string& id, const std::string& bytes, std::string& page) {
  page.append("<script type=\"application/octet-stream\" id=\"").append(id).append("\">");
  base64::encode(bytes.begin(), bytes.end(), std::back_inserter(page));
  page.append("</script>\n");
}

// In the order of their alignment, so that the page can lay arrays over them: what keys received, the keys and how many
// were kept, the weights and what was dropped.
void AppendRows(const std::string& id, const std::vector<double>& received, const Rows& rows, std::string& page) {
  const std::vector<float> rounded(received.begin(), received.end());
  std::string bytes;
  AppendBytes<float>(rounded, bytes);
  AppendBytes<uint16_t>(rows.keys, bytes);
  AppendBytes<uint16_t>(rows.kept, bytes);
  AppendBytes<uint8_t>(rows.weights, bytes);
  AppendBytes<uint8_t>(rows.dropped, bytes);
  AppendBlock(id, bytes, page);
}

void AppendText(const Report& report, std::string& page) {
  std::string text;
  std::vector<uint32_t> lengths;
  for (const std::string& piece : report.pieces) {
    text += piece;
    lengths.push_back(static_cast<uint32_t>(piece.size()));
  }
  std::string bytes;
  AppendBytes<Token>(report.tokens, bytes);
  AppendBytes<uint32_t>(lengths, bytes);
  AppendBlock("token-numbers", bytes, page);
  AppendBlock("token-bytes", text, page);
}

void AppendData(const Report& report, std::string& page) {
  AppendText(report, page);
  for (size_t i = 0; i < report.settings.size(); ++i) {
    const Capture& capture = *report.settings[i].capture;
    const std::string id = "rows-" + std::to_string(i) + "-";
    AppendRows(id + "mean", MeanReceived(capture), capture.mean(), page);
    for (const LayerCapture* layer : capture.layers()) {
      AppendRows(id + std::to_string(layer->layer), layer->received, layer->rows, page);
    }
  }
}

// JSON in which nothing can end the element that it stands in.
std::string Embedded(const nlohmann::ordered_json& json) {
  const std::string text = json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  std::string embedded;
  for (const char c : text) c == '<' ? embedded += "\\u003c" : embedded += c;
  return embedded;
}

}  // namespace

std::string Html(const Report& report, std::string_view nonce) {
  std::string_view rest(reinterpret_cast<const char*>(kPageBytes.data()), kPageBytes.size());
  std::string page;
  while (true) {
    constexpr std::string_view kNonce = "@NONCE@";
    constexpr std::string_view kReport = "@REPORT@";
    constexpr std::string_view kData = "@DATA@";
    const auto [at, place] = std::min({std::pair(rest.find(kNonce), kNonce), std::pair(rest.find(kReport), kReport),
                                       std::pair(rest.find(kData), kData)});
    page += rest.substr(0, at);
    if (at == std::string_view::npos) return page;
    if (place == kNonce) page += nonce;
    if (place == kReport) page += Embedded(FiguresJson(report));
    if (place == kData) AppendData(report, page);
    rest.remove_prefix(at + place.size());
  }
}

}  // namespace qwen_infer::inspect
