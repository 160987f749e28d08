/// Fields of a run against time, one CF file for all ranks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/output/cf_file.hpp"

namespace tramontane {

/// Writes <name>(time, panel, y, x) for each variable. After every record the file is complete on disk.
/// All calls are collective over `comm` and throw RunError on every rank when any could not write.
class CfWriter {
 public:
  /// `time_units` is "seconds since YYYY-MM-DD hh:mm:ss". `comm` holds the solver ranks of `tiling`.
  CfWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
           const std::vector<CfVariable>& variables, const std::vector<CfAttribute>& attributes,
           const std::string& time_units = "seconds since 2000-01-01 00:00:00");

  /// Continues a file that holds `records` records (see cut_to_records).
  CfWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, int records,
           const std::vector<CfVariable>& variables);

  /// Adds a field that does not change, such as the orography: owned tiles (owned, T, T).
  void write_static(const CfVariable& variable, const std::vector<double>& tiles);

  /// Appends one record: time in seconds and every variable's owned tiles by name.
  void write(double time_seconds, const std::map<std::string, std::vector<double>>& fields);

  int records() const { return static_cast<int>(records_); }

 private:
  CfFile file_;
  std::vector<CfVariable> variables_;
  hsize_t records_ = 0;
};

/// Attributes that say where a file comes from: title, source (program and version), history, references, deck.
/// No time stamp: equal runs leave equal files.
std::vector<CfAttribute> provenance_attributes(const std::string& title, const std::string& command,
                                               const std::string& deck_text);

}  // namespace tramontane
