// Drawings of points with error bars as SVG, for pages and documents: no script, no font and no request of its own.
#ifndef QWEN_INFER_EVAL_CHART_H_
#define QWEN_INFER_EVAL_CHART_H_

#include <string>
#include <vector>

namespace qwen_infer::eval {

struct Point {
  double x = 0;
  double y = 0;
  double low = 0;  // ends of the error bar
  double high = 0;
  std::string label = {};  // beside the point; empty: none
  std::string note = {};   // shown when one points at it
};

struct Series {
  std::string name = {};  // for the legend; empty: not there
  bool is_joined = true;
  std::vector<Point> points = {};
};

struct Tick {
  double at = 0;
  std::string label = {};
};

struct Chart {
  std::string title;
  std::string x_label, y_label;
  std::vector<Tick> x_ticks = {};  // at least two; the first and the last are the ends of the axis
  std::vector<Series> series = {};
};

// A whole SVG document, with a line at y = 0. Numbers must be finite.
std::string Svg(const Chart& chart);

// At most about `most` round numbers, the least at or below `low` and the greatest at or above `high`.
std::vector<double> RoundTicks(double low, double high, int most);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_CHART_H_
