/// Fields of a run on a regular longitude-latitude grid, for tools that know no cubed sphere.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "physics/remap/latlon_grid.hpp"
#include "src/output/cf_file.hpp"

namespace tramontane {

/// Takes a field on the cubed sphere (6, n, n) to the regular grid (lat, lon).
using Remap = std::function<std::vector<double>(const std::vector<double>&)>;

/// Gathers fields on rank 0 of `comm`, remaps them there and writes <name>(time, lat, lon) in single precision.
/// Calls are collective over `comm`; all ranks throw RunError when the file could not be written.
class LatLonWriter {
 public:
  /// `remap` is called on rank 0 alone.
  LatLonWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const LatLonGrid& grid, Remap remap,
               const std::vector<CfVariable>& variables, const std::vector<CfAttribute>& attributes,
               const std::string& time_units = "seconds since 2000-01-01 00:00:00");
  /// Continues a file that holds `records` records (see cut_to_records).
  LatLonWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const LatLonGrid& grid, Remap remap,
               int records, const std::vector<CfVariable>& variables);
  ~LatLonWriter();

  /// Appends one record: time in seconds, scalars on owned tiles by name, and the Cartesian velocity that the variables
  /// u and v come from: components are remapped as they are and turned to east and north on the regular grid, so that
  /// the poles are right.
  void write(double time_seconds, const std::map<std::string, std::vector<double>>& fields,
             const std::vector<double> (&velocity)[3]);

  int records() const { return static_cast<int>(records_); }

 private:
  struct File;
  template <class Body>
  void on_root(const Body& body);

  /// Remapped field on rank 0; empty elsewhere.
  std::vector<double> to_grid(const std::vector<double>& tiles);

  std::string path_;
  MPI_Comm comm_;
  int rank_ = 0;
  Tiling tiling_;
  LatLonGrid grid_;
  Remap remap_;
  std::vector<CfVariable> variables_;
  std::unique_ptr<File> file_;  ///< on rank 0
  hsize_t records_ = 0;
};

/// Collects a field on tiles from all ranks of `comm` into the global field (6, n, n) on rank 0; empty elsewhere.
std::vector<double> gather_to_root(const Tiling& tiling, const std::vector<double>& tiles, MPI_Comm comm);

}  // namespace tramontane
