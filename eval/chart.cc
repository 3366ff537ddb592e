#include "chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "markup.h"
#include "shared/fixed.h"

namespace qwen_infer::eval {

namespace {

// In the units of the drawing.
constexpr double kWidth = 640;
constexpr double kLeft = 64;
constexpr double kRight = 620;
constexpr double kTop = 44;
constexpr double kBottom = 320;
constexpr double kBelow = 52;  // for the labels of the axis
constexpr double kCap = 3;     // half the width of an error bar's ends
constexpr double kLegendColumn = 140;
constexpr double kLegendRow = 16;
constexpr size_t kLegendColumns = 4;
constexpr int kMostYTicks = 7;

// Told apart by colour-blind people too (Okabe and Ito).
constexpr std::array<std::string_view, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                      "#e69f00", "#56b4e9", "#7f7f7f"};

std::string Coordinate(double x) { return Fixed(x, 1); }

std::string Attribute(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + std::string(value) + "\"";
}

std::string Line(double x1, double y1, double x2, double y2, std::string_view more = "") {
  return "<line" + Attribute("x1", Coordinate(x1)) + Attribute("y1", Coordinate(y1)) + Attribute("x2", Coordinate(x2)) +
         Attribute("y2", Coordinate(y2)) + std::string(more) + "/>\n";
}

std::string Words(double x, double y, std::string_view anchor, std::string_view words, std::string_view more = "") {
  return "<text" + Attribute("x", Coordinate(x)) + Attribute("y", Coordinate(y)) + Attribute("text-anchor", anchor) +
         std::string(more) + ">" + Escaped(words) + "</text>\n";
}

std::string Dot(double x, double y, std::string_view more, std::string_view inside) {
  return "<circle" + Attribute("cx", Coordinate(x)) + Attribute("cy", Coordinate(y)) + Attribute("r", "4") +
         std::string(more) + ">" + std::string(inside) + "</circle>\n";
}

// As few digits as the step between ticks needs.
std::string TickLabel(double y, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
  return Fixed(y == 0 ? 0 : y, digits);
}

std::string_view Colour(size_t i) { return kColours[i % kColours.size()]; }

std::vector<double> YTicks(const Chart& chart) {
  double low = 0;
  double high = 0;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) {
      low = std::min({low, point.low, point.y});
      high = std::max({high, point.high, point.y});
    }
  }
  return RoundTicks(low, high, kMostYTicks);
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : chart_(chart), y_ticks_(YTicks(chart)) {
    for (size_t i = 0; i < chart.series.size(); ++i) {
      if (!chart.series[i].name.empty()) legend_.push_back(i);
    }
  }

  std::string Text() const {
    const size_t legend_rows = (legend_.size() + kLegendColumns - 1) / kLegendColumns;
    std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + Fixed(kWidth, 0) + " " +
                      Fixed(kBottom + kBelow + kLegendRow * static_cast<double>(legend_rows), 0) +
                      "\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\"" +
                      Attribute("aria-label", Escaped(chart_.title)) + ">\n<rect width=\"100%\" height=\"100%\"" +
                      Attribute("fill", "white") + "/>\n" +
                      Words((kLeft + kRight) / 2, 22, "middle", chart_.title, Attribute("font-size", "14")) + Axes();
    for (size_t i = 0; i < chart_.series.size(); ++i) svg += SeriesText(chart_.series[i], Colour(i));
    return svg + LegendText() + "</svg>\n";
  }

 private:
  double X(double x) const {
    const double first = chart_.x_ticks.front().at;
    return kLeft + (kRight - kLeft) * (x - first) / (chart_.x_ticks.back().at - first);
  }

  double Y(double y) const {
    return kBottom - (kBottom - kTop) * (y - y_ticks_.front()) / (y_ticks_.back() - y_ticks_.front());
  }

  std::string Axes() const {
    const std::string grid = Attribute("stroke", "#dddddd");
    std::string text;
    for (const double y : y_ticks_) {
      text += Line(kLeft, Y(y), kRight, Y(y), y == 0 ? Attribute("stroke", "#000000") : grid);
      text += Words(kLeft - 6, Y(y) + 4, "end", TickLabel(y, y_ticks_[1] - y_ticks_[0]));
    }
    for (const Tick& tick : chart_.x_ticks) {
      text += Line(X(tick.at), kTop, X(tick.at), kBottom, grid);
      text += Words(X(tick.at), kBottom + 16, "middle", tick.label);
    }
    text += Words((kLeft + kRight) / 2, kBottom + 36, "middle", chart_.x_label);
    const double middle = (kTop + kBottom) / 2;
    return text + Words(16, middle, "middle", chart_.y_label,
                        Attribute("transform", "rotate(-90 16 " + Coordinate(middle) + ")"));
  }

  std::string SeriesText(const Series& series, std::string_view colour) const {
    std::string text = "<g" + Attribute("stroke", colour) + Attribute("fill", colour) + ">\n";
    if (series.is_joined && series.points.size() > 1) {
      std::string path;
      for (const Point& point : series.points) {
        path += (path.empty() ? "M" : " L") + Coordinate(X(point.x)) + " " + Coordinate(Y(point.y));
      }
      text += "<path" + Attribute("d", path) + Attribute("fill", "none") + Attribute("stroke-width", "1.5") + "/>\n";
    }
    for (const Point& point : series.points) text += PointText(point);
    return text + "</g>\n";
  }

  std::string PointText(const Point& point) const {
    const double x = X(point.x);
    std::string text;
    if (point.low <= point.high) {
      text += Line(x, Y(point.low), x, Y(point.high));
      for (const double end : {point.low, point.high}) text += Line(x - kCap, Y(end), x + kCap, Y(end));
    }
    text += Dot(x, Y(point.y), "", "<title>" + Escaped(point.note) + "</title>");
    if (point.label.empty()) return text;
    // Beside the point, on the side where there is room.
    const bool is_right = x > (kLeft + kRight) / 2;
    return text + Words(x + (is_right ? -8 : 8), Y(point.y) - 6, is_right ? "end" : "start", point.label,
                        Attribute("stroke", "none"));
  }

  std::string LegendText() const {
    std::string text;
    for (size_t i = 0; i < legend_.size(); ++i) {
      const size_t row = i / kLegendColumns;
      const size_t column = i % kLegendColumns;
      const double x = kLeft + kLegendColumn * static_cast<double>(column);
      const double y = kBottom + kBelow + kLegendRow * static_cast<double>(row) + 4;
      text += Dot(x, y - 4, Attribute("fill", Colour(legend_[i])), "") +
              Words(x + 10, y, "start", chart_.series[legend_[i]].name);
    }
    return text;
  }

  const Chart& chart_;
  std::vector<double> y_ticks_;
  std::vector<size_t> legend_;  // the series that are in it
};

}  // namespace

std::vector<double> RoundTicks(double low, double high, int most) {
  if (high <= low) high = low + 1;
  const double least = (high - low) / most;
  const double power = std::pow(10, std::floor(std::log10(least)));
  double step = 10 * power;
  for (const double factor : {5, 2, 1}) {
    if (factor * power >= least) step = factor * power;
  }
  std::vector<double> ticks;
  const double last = std::ceil(high / step - 1e-9);
  for (double i = std::floor(low / step + 1e-9); i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string Svg(const Chart& chart) { return Drawing(chart).Text(); }

}  // namespace qwen_infer::eval
