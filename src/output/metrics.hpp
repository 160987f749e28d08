/// metrics.jsonl: what a run reports while it goes, one JSON object a line.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tramontane {

/// Writes one line a report and flushes it, so that a killed run leaves all its reports. Use on one rank.
class MetricsWriter {
 public:
  /// Replaces a file of that name, or goes on at its end. Throws RunError when it cannot be written.
  explicit MetricsWriter(const std::string& path, bool append = false);

  /// Writes {"kind": kind, ...values}. Numbers that are not finite become null.
  void write(std::string_view kind, const nlohmann::ordered_json& values);

 private:
  std::string path_;
  std::ofstream out_;
};

/// All that a file of reports holds; empty where there is none.
std::string metrics_text(const std::string& path);

}  // namespace tramontane
