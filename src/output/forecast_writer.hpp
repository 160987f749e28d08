/// The verified forecasts of a run: every system's fields at every start and lead time, one CF file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/output/cf_file.hpp"

namespace tramontane {

/// Writes <field>_<system>(start, lead, panel, y, x) with systems such as fine, coarse and hybrid.
/// All calls are collective over `comm`. After every record the file is complete on disk.
class ForecastWriter {
 public:
  /// `starts` are labels (1991-01), `lead_hours` the lead times. `fields` are h, u, v with units and names.
  ForecastWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
                 const std::vector<std::string>& starts, const std::vector<double>& lead_hours,
                 const std::vector<CfVariable>& fields, const std::vector<std::string>& systems,
                 const std::vector<CfAttribute>& attributes);

  /// Adds a field that does not change, such as the orography: owned tiles (owned, T, T).
  void write_static(const CfVariable& variable, const std::vector<double>& tiles);

  /// Adds a field of one system alone, (start, lead, panel, y, x), and writes it for a start and a lead.
  void add_field(const CfVariable& variable);
  void write_field(int start, int lead, const std::string& name, const std::vector<double>& tiles);

  /// Writes the fields of one system (owned tiles by field name) at a start and a lead, both by index.
  void write(int start, int lead, const std::string& system, const std::map<std::string, std::vector<double>>& fields);

 private:
  CfFile file_;
  std::vector<CfVariable> fields_;
};

}  // namespace tramontane
