#include "src/output/forecast_writer.hpp"

#include <numeric>
#include <stdexcept>

#include "src/archive/disk_room.hpp"

namespace tramontane {

namespace {

constexpr std::int64_t kDatasetBytes = 8 << 10;  ///< a variable's structure and chunk index, and some to spare

/// Of the file with `fields` variables of every lead and start, at most.
std::int64_t file_bytes(const Tiling& tiling, std::size_t fields, std::size_t records) {
  constexpr std::int64_t kGridFields = 12;  // centres, outlines, areas, orography
  const auto cells = static_cast<std::int64_t>(tiling.cell_count());
  const auto variables = static_cast<std::int64_t>(fields);
  return 8 * cells * (variables * static_cast<std::int64_t>(records) + kGridFields) + kDatasetBytes * (variables + kGridFields);
}

/// Passes the path on. The room's blocks are given back when the file is made anew.
const std::string& with_room(const std::string& path, MPI_Comm comm, std::int64_t bytes) {
  require_room(path, comm, bytes);
  return path;
}

}  // namespace

ForecastWriter::ForecastWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
                               const std::vector<std::string>& starts, const std::vector<double>& lead_hours,
                               const std::vector<CfVariable>& fields, const std::vector<std::string>& systems,
                               const std::vector<CfAttribute>& attributes)
    : file_(with_room(path, comm, file_bytes(tiling, fields.size() * systems.size() + 1, starts.size() * lead_hours.size())),
            comm, tiling, grid, attributes),
      fields_(fields) {
  std::vector<double> numbers(starts.size());
  std::iota(numbers.begin(), numbers.end(), 0.0);
  file_.add_dimension({"start", "1", "number of the forecast", ""}, numbers);
  file_.add_labels({"start_month", "", "month of the initial state", ""}, "start", starts);
  file_.add_dimension({"lead", "hours", "lead time", "forecast_period"}, lead_hours);
  for (const std::string& system : systems)
    for (const CfVariable& field : fields_)
      file_.add_field({field.name + "_" + system, field.units, field.long_name + ", " + system, field.standard_name},
                      {"start", "lead"});
  file_.flush();
}

void ForecastWriter::write_static(const CfVariable& variable, const std::vector<double>& tiles) {
  file_.add_field(variable, {});
  file_.write(variable.name, {}, tiles);
  file_.flush();
}

void ForecastWriter::add_field(const CfVariable& variable) {
  file_.add_field(variable, {"start", "lead"});
}

void ForecastWriter::write_field(int start, int lead, const std::string& name, const std::vector<double>& tiles) {
  file_.write(name, {static_cast<hsize_t>(start), static_cast<hsize_t>(lead)}, tiles);
  file_.flush();
}

void ForecastWriter::write(int start, int lead, const std::string& system,
                           const std::map<std::string, std::vector<double>>& fields) {
  for (const CfVariable& field : fields_) {
    const auto found = fields.find(field.name);
    if (found == fields.end()) throw std::logic_error("ForecastWriter::write: no field " + field.name);
    file_.write(field.name + "_" + system, {static_cast<hsize_t>(start), static_cast<hsize_t>(lead)}, found->second);
  }
  file_.flush();
}

}  // namespace tramontane
