#include "src/output/cf_writer.hpp"

#include <stdexcept>

#include "kernels/precision.hpp"

namespace tramontane {

CfWriter::CfWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
                   const std::vector<CfVariable>& variables, const std::vector<CfAttribute>& attributes,
                   const std::string& time_units)
    : file_(path, comm, tiling, grid, attributes), variables_(variables) {
  file_.add_dimension({"time", time_units, "model time", "time"}, {}, {{"calendar", "standard"}, {"axis", "T"}});
  for (const CfVariable& variable : variables_) file_.add_field(variable, {"time"});
  file_.flush();
}

CfWriter::CfWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, int records,
                   const std::vector<CfVariable>& variables)
    : file_(path, comm, tiling, "time", variables), variables_(variables), records_(records) {}

void CfWriter::write_static(const CfVariable& variable, const std::vector<double>& tiles) {
  file_.add_field(variable, {});
  file_.write(variable.name, {}, tiles);
  file_.flush();
}

void CfWriter::write(double time_seconds, const std::map<std::string, std::vector<double>>& fields) {
  file_.require_room_for(variables_.size());
  for (const CfVariable& variable : variables_) {
    const auto found = fields.find(variable.name);
    if (found == fields.end()) throw std::logic_error("CfWriter::write: no field " + variable.name);
    file_.write(variable.name, {records_}, found->second);
  }
  // The time comes last: a record with a time is whole.
  file_.write_coordinate("time", records_, time_seconds);
  file_.flush();
  ++records_;
}

std::vector<CfAttribute> provenance_attributes(const std::string& title, const std::string& command,
                                               const std::string& deck_text) {
  return {{"title", title},
          {"source", "tramontane " TRAMONTANE_VERSION},
          {"history", "tramontane " + command},
          {"precision", kPrecision},
          {"deck", deck_text}};
}

}  // namespace tramontane
