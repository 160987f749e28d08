/// Fields of a run on a regular longitude-latitude grid, for tools that know no cubed sphere.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/output/cf_file.hpp"

namespace tramontane {

/// Centres and bounds of a regular grid, degrees. Bounds are (centres, 2), lower before upper.
struct LatLonGrid {
  std::vector<double> lon, lat, lon_bounds, lat_bounds;
};

/// The grid of a spacing in degrees that divides 180: cell centres half a spacing from the poles and from Greenwich.
LatLonGrid regular_latlon_grid(double spacing);

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
  ~LatLonWriter();

  /// Appends one record: time in seconds and every variable's owned tiles by name.
  void write(double time_seconds, const std::map<std::string, std::vector<double>>& fields);

 private:
  struct File;
  template <class Body>
  void on_root(const Body& body);

  std::string path_;
  MPI_Comm comm_;
  int rank_ = 0;
  Tiling tiling_;
  Remap remap_;
  std::vector<CfVariable> variables_;
  std::unique_ptr<File> file_;  ///< on rank 0
  hsize_t records_ = 0;
};

/// Collects a field on tiles from all ranks of `comm` into the global field (6, n, n) on rank 0; empty elsewhere.
std::vector<double> gather_to_root(const Tiling& tiling, const std::vector<double>& tiles, MPI_Comm comm);

}  // namespace tramontane
