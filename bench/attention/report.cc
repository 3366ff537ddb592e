#include "attention/report.h"

#include <nlohmann/json.hpp>

#include "shared/fixed.h"

namespace qwen_infer::attention_bench {

namespace {

// Three significant digits or so.
std::string Microseconds(std::optional<double> x) {
  if (!x) return "-";
  return Fixed(*x, *x < 10 ? 2 : *x < 100 ? 1 : 0);
}

std::string Bytes(int64_t bytes) {
  constexpr double kKibi = 1024;
  const double kib = static_cast<double>(bytes) / kKibi;
  return kib < kKibi ? Fixed(kib, 0) + " KiB" : Fixed(kib / kKibi, 1) + " MiB";
}

std::string Heads(const HeadShape& heads) {
  return std::to_string(heads.n_head) + "/" + std::to_string(heads.n_head_kv);
}

// A field of CSV, which may contain anything.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

nlohmann::ordered_json MethodsJson(const Row& row) {
  const double rows = static_cast<double>(row.the_case.Rows());
  nlohmann::ordered_json methods;
  for (const Method method : kMethods) {
    const std::optional<double> median = row.microseconds[IndexOf(method)];
    nlohmann::ordered_json& json = methods[std::string(NameOf(method))];
    if (!median) continue;  // null
    json["median"] = *median;
    for (const double seconds : row.times.call[IndexOf(method)]) json["rounds"].push_back(1e6 * seconds / rows);
  }
  return methods;
}

// Units a second, in billions.
nlohmann::ordered_json YardsticksJson(const Times& times) {
  nlohmann::ordered_json yardsticks = nlohmann::ordered_json::object();
  for (const Yardstick yardstick : kYardsticks) {
    const std::vector<double>& seconds = times.unit[IndexOf(yardstick)];
    if (!seconds.empty()) yardsticks[std::string(NameOf(yardstick))] = 1e-9 / Median(seconds);
  }
  return yardsticks;
}

nlohmann::ordered_json RowJson(const Row& row) {
  const Case& c = row.the_case;
  return {{"queries", c.n_query},
          {"heads", c.heads.n_head},
          {"heads_kv", c.heads.n_head_kv},
          {"head_size", c.heads.d},
          {"keys", c.n_key},
          {"visible", c.n_visible > 0 ? nlohmann::ordered_json(c.n_visible) : nlohmann::ordered_json("all")},
          {"type", ggml_type_name(c.type)},
          {"inputs", c.InputsName()},
          {"microseconds", MethodsJson(row)},
          {"best_stock", NameOf(row.best_stock)},
          {"best_ours", NameOf(row.best_ours)},
          {"ratio", {{"median", row.speed_up.median}, {"min", row.speed_up.min}, {"max", row.speed_up.max}}},
          {"ratio_any_type", row.speed_up_any_type ? nlohmann::ordered_json(*row.speed_up_any_type) : nullptr},
          {"roofline", row.roofline},
          {"giga_per_second", YardsticksJson(row.times)},
          {"candidates", row.candidates},
          {"scratch_bytes", row.scratch_bytes},
          {"copies_bytes", row.copies_bytes}};
}

}  // namespace

std::string MarkdownHead(const Conditions& conditions) {
  const auto visible = conditions.flags.find("visible");
  const bool has_visible = visible != conditions.flags.end() && visible->second != "all";
  const auto types = conditions.flags.find("types");
  const bool has_types = types != conditions.flags.end() && types->second.find(',') != std::string::npos;
  const bool has_inputs = conditions.flags.contains("inputs");
  std::string text = "`" + conditions.command + "`  \n" + conditions.date + "; " + conditions.processor + ", " +
                     std::to_string(conditions.threads) + (conditions.threads == 1 ? " thread" : " threads") +
                     "; our kernels on " + conditions.simd;
  for (const auto& [name, version] : conditions.versions) text.append("; ").append(name).append(" ").append(version);
  text +=
      "; medians of " + conditions.flags.at("repeat") +
      " rounds in turns\n\n"
      "Microseconds per query and head. Ratio: time of the better way of llama.cpp / time of ours, as used. Of the "
      "fastest of our\nother ways, roofline: share that it reaches of the measured speed of reading K (up to 16 "
      "queries) or of its scan's innermost\nloop on numbers in cache (more); candidates: keys that it scores in f32, "
      "per query and head; scratch: what it allocates.\n";
  if (has_types) {
    text +=
        "Ratio, any type: to the type of K and V that is the fastest for llama.cpp, of those up to the line's own.\n";
  }
  text +=
      "\n| queries | heads | d | n | type | llama.cpp, flash | llama.cpp, no flash | top-k, f32 scan "
      "| top-k, int8 scan | top-k, int16 scan | ours, dense | ours, as used | ratio (min - max) | roofline "
      "| candidates | scratch |";
  std::string rule = "|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";
  const auto add = [&](bool is_there, std::string_view name, std::string_view alignment) {
    if (!is_there) return;
    text.append(" ").append(name).append(" |");
    rule.append(alignment).append("|");
  };
  add(has_types, "ratio, any type", "---:");
  add(has_visible, "visible", "---:");
  add(has_inputs, "inputs", "---");
  return text + "\n" + rule + "\n";
}

std::string MarkdownLine(const Row& row) {
  const Case& c = row.the_case;
  std::string line = "| " + std::to_string(c.n_query) + " | " + Heads(c.heads) + " | " + std::to_string(c.heads.d) +
                     " | " + std::to_string(c.n_key) + " | " + ggml_type_name(c.type) + " |";
  for (const std::optional<double>& time : row.microseconds) line += " " + Microseconds(time) + " |";
  return line + " **" + Fixed(row.speed_up.median, 2) + "** (" + Fixed(row.speed_up.min, 2) + " - " +
         Fixed(row.speed_up.max, 2) + ") | " + Fixed(100 * row.roofline, 0) + " % | " + Fixed(row.candidates, 0) +
         " | " + Bytes(row.scratch_bytes) + " |" +
         (row.speed_up_any_type ? " **" + Fixed(*row.speed_up_any_type, 2) + "** |" : "") +
         (c.n_visible > 0 ? " " + std::to_string(c.n_visible) + " |" : "") +
         (c.inputs != nullptr ? " " + c.InputsName() + " |" : "") + "\n";
}

std::string Csv(std::span<const Row> rows) {
  std::string text = "queries,heads,heads_kv,head_size,keys,type";
  for (const Method method : kMethods) text.append(",").append(NameOf(method)).append("_us");
  text +=
      ",best_stock,best_ours,ratio,ratio_min,ratio_max,roofline,candidates,scratch_bytes,ratio_any_type,visible,"
      "inputs\n";
  for (const Row& row : rows) {
    const Case& c = row.the_case;
    for (const int64_t number : {c.n_query, c.heads.n_head, c.heads.n_head_kv, c.heads.d, c.n_key}) {
      text += std::to_string(number) + ",";
    }
    text += ggml_type_name(c.type);
    for (const std::optional<double>& time : row.microseconds) text += "," + (time ? Fixed(*time, 4) : "");
    text.append(",").append(NameOf(row.best_stock)).append(",").append(NameOf(row.best_ours));
    for (const double x : {row.speed_up.median, row.speed_up.min, row.speed_up.max, row.roofline, row.candidates}) {
      text += "," + Fixed(x, 4);
    }
    const std::optional<double>& any_type = row.speed_up_any_type;
    text += "," + std::to_string(row.scratch_bytes) + "," + (any_type ? Fixed(*any_type, 4) : "") + "," +
            (c.n_visible > 0 ? std::to_string(c.n_visible) : "all") + "," + Quoted(c.InputsName()) + "\n";
  }
  return text;
}

std::string Json(const Conditions& conditions, std::span<const Row> rows) {
  nlohmann::ordered_json json = {
      {"cpu", conditions.processor},     {"threads", conditions.threads}, {"date", conditions.date},
      {"versions", conditions.versions}, {"flags", conditions.flags},     {"cold_bytes", conditions.cold_bytes},
      {"simd", conditions.simd},         {"command", conditions.command}, {"rows", nlohmann::ordered_json::array()}};
  for (const Row& row : rows) json["rows"].push_back(RowJson(row));
  return json.dump(2) + "\n";
}

}  // namespace qwen_infer::attention_bench
