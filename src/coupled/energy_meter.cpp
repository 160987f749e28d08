#include "src/coupled/energy_meter.hpp"

#include <filesystem>
#include <fstream>

namespace tramontane {

namespace {
bool read_number(const std::filesystem::path& file, double& value) {
  std::ifstream in(file);
  return static_cast<bool>(in >> value);
}
}  // namespace

EnergyMeter::EnergyMeter() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/powercap", error)) {
    // Packages only: intel-rapl:0, not their parts intel-rapl:0:1, which they contain.
    const std::string name = entry.path().filename();
    if (!name.starts_with("intel-rapl:") || name.find(':', 11) != std::string::npos) continue;
    Counter counter{entry.path() / "energy_uj", 0, 0};
    if (read_number(counter.file, counter.start)) {
      read_number(entry.path() / "max_energy_range_uj", counter.range);
      counters_.push_back(counter);
    }
  }
}

EnergySummary EnergyMeter::read() const {
  EnergySummary out;
  double joules = 0;
  for (const Counter& counter : counters_) {
    double now = 0;
    if (!read_number(counter.file, now)) return out;
    joules += (now >= counter.start ? now - counter.start : now + counter.range - counter.start) * 1e-6;
  }
  if (counters_.empty()) return out;
  out.joules = joules;
  out.source = "rapl";
  return out;
}

}  // namespace tramontane
