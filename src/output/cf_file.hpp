/// A CF-1.8 file of fields on the cubed sphere that all ranks write together. Base of the writers.
#pragma once

#include <mpi.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/tiling.hpp"
#include "src/output/cf_grid.hpp"
#include "src/output/hdf5_writing.hpp"

namespace tramontane {

/// A quantity as CF describes it; standard_name stays empty where the CF table has none.
struct CfVariable {
  std::string name, units, long_name, standard_name;
};

/// A text attribute.
struct CfAttribute {
  std::string name, value;
};

/// HDF5 file that opens as netCDF-4: dimension scales panel, y, x (and those that are added), coordinates lon and lat
/// with their vertices, cell_area. Data in double precision; values do not depend on the number of ranks.
///
/// Every call is collective over the communicator that the file was made with, with the same arguments but for the
/// field. Errors are agreed upon: all ranks throw RunError when any rank could not write.
class CfFile {
 public:
  /// Replaces a file of that name.
  CfFile(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
         const std::vector<CfAttribute>& attributes);

  /// Opens a file that an earlier run left, to go on writing the fields along their unlimited dimension `leading`.
  CfFile(const std::string& path, MPI_Comm comm, const Tiling& tiling, const std::string& leading,
         const std::vector<CfVariable>& fields);

  /// Adds a dimension with its coordinate variable; no values make an unlimited one.
  void add_dimension(const CfVariable& coordinate, const std::vector<double>& values,
                     const std::vector<CfAttribute>& attributes = {});
  /// Adds a text of fixed length for every entry of a dimension, as a char variable.
  void add_labels(const CfVariable& variable, const std::string& dimension, const std::vector<std::string>& labels);
  /// Adds a field of shape (leading..., panel, y, x); only the first leading dimension may be unlimited.
  void add_field(const CfVariable& variable, const std::vector<std::string>& leading);

  /// Throws RunError on all ranks if the file cannot grow by `fields` records of one field.
  void require_room_for(std::size_t fields);
  /// Writes the owned tiles (owned, T, T) of one record of a field; an unlimited dimension grows as needed.
  void write(const std::string& name, const std::vector<hsize_t>& record, const std::vector<double>& tiles);
  /// Sets an entry of an unlimited dimension's coordinate.
  void write_coordinate(const std::string& name, hsize_t index, double value);
  /// Brings everything to the file system: what was written before opens even if the run is killed afterwards.
  void flush();

  const Tiling& tiling() const { return tiling_; }

 private:
  struct Field {
    output::Handle dataset;
    std::vector<std::string> leading;
  };

  /// Opens the file on all ranks, a new one in the place of an old one or one that is there.
  void open(bool anew);
  void write_grid(const CfGrid& grid);
  /// Writes a whole array from rank 0.
  void write_from_root(hid_t dataset, hid_t type, const void* data);
  void write_elements(Field& field, const std::vector<hsize_t>& record, const std::vector<double>& tiles);
  /// Runs the body, then makes its failure common.
  template <class Body>
  void together(const std::string& what, const Body& body);

  std::string path_;
  MPI_Comm comm_;
  int rank_ = 0;
  Tiling tiling_;
  output::Handle file_, collective_;
  std::map<std::string, output::Handle> scales_;
  std::map<std::string, hsize_t> lengths_;  ///< of the dimensions; unlimited ones H5S_UNLIMITED
  std::map<std::string, Field> fields_;
  std::vector<std::size_t> file_order_;  ///< positions in the tiles, in ascending global offset
};

}  // namespace tramontane
