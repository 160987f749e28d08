#include "src/output/latlon_writer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "kernels/communicator.hpp"
#include "kernels/errors.hpp"
#include "physics/cubed_sphere.hpp"
#include "src/output/hdf5_writing.hpp"

namespace tramontane {

using output::attach_scales;
using output::create_dataset;
using output::Handle;
using output::make_scale;
using output::require;
using output::write_attribute;

std::vector<double> gather_to_root(const Tiling& tiling, const std::vector<double>& tiles, MPI_Comm comm) {
  const int rank = rank_in(comm);
  std::vector<int> counts(tiling.ranks), starts(tiling.ranks);
  for (int r = 0; r < tiling.ranks; ++r) {
    counts[r] = tiling.owned_count(r) * tiling.cells_per_tile();
    starts[r] = tiling.first_tile(r) * tiling.cells_per_tile();
  }
  std::vector<double> all(rank == 0 ? tiling.cell_count() : 0), global;
  MPI_Gatherv(tiles.data(), static_cast<int>(tiles.size()), MPI_DOUBLE, all.data(), counts.data(), starts.data(),
              MPI_DOUBLE, 0, comm);
  if (rank == 0) tiles_to_global(tiling, all.data(), 0, tiling.tile_count(), global);
  return global;
}

/// The file as rank 0 holds it.
struct LatLonWriter::File {
  Handle file, time, lat, lon;
  std::vector<Handle> variables;
  hsize_t rows, columns;

  File(const std::string& path, const LatLonGrid& grid, const std::vector<CfVariable>& list,
       const std::vector<CfAttribute>& attributes, const std::string& time_units)
      : file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "open the file"),
        rows(grid.lat.size()),
        columns(grid.lon.size()) {
    const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, "open the file");
    write_attribute(root, "Conventions", "CF-1.8");
    for (const CfAttribute& attribute : attributes) write_attribute(root, attribute.name, attribute.value);

    time = create_dataset(file, "time", H5T_NATIVE_DOUBLE, {H5S_UNLIMITED}, {512});
    make_scale(time, "time", 0, true);
    describe(time, {"time", time_units, "model time", "time"});
    write_attribute(time, "calendar", "standard");
    const Handle bound = create_dataset(file, "bound", H5T_NATIVE_FLOAT, {2});
    make_scale(bound, "bound", 2, false);
    lat =
        add_axis({"lat", "degrees_north", "latitude of the cell centre", "latitude"}, grid.lat, grid.lat_bounds, bound);
    lon = add_axis({"lon", "degrees_east", "longitude of the cell centre", "longitude"}, grid.lon, grid.lon_bounds,
                   bound);
    for (const CfVariable& variable : list) {
      variables.push_back(
          create_dataset(file, variable.name, H5T_NATIVE_FLOAT, {H5S_UNLIMITED, rows, columns}, {1, rows, columns}));
      describe(variables.back(), variable);
      write_attribute(variables.back(), "cell_methods", "area: mean");
      attach_scales(variables.back(), {time, lat, lon});
    }
    require(H5Fflush(file, H5F_SCOPE_GLOBAL), "flush the file");
  }

  /// A file that an earlier run left.
  File(const std::string& path, const LatLonGrid& grid, const std::vector<CfVariable>& list)
      : file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose, "open the file"),
        time(H5Dopen2(file, "time", H5P_DEFAULT), H5Dclose, "open the time"),
        rows(grid.lat.size()),
        columns(grid.lon.size()) {
    for (const CfVariable& variable : list)
      variables.emplace_back(H5Dopen2(file, variable.name.c_str(), H5P_DEFAULT), H5Dclose,
                             "open the variable " + variable.name);
  }

  static void describe(hid_t dataset, const CfVariable& variable) {
    write_attribute(dataset, "standard_name", variable.standard_name);
    write_attribute(dataset, "long_name", variable.long_name);
    write_attribute(dataset, "units", variable.units);
  }

  Handle add_axis(const CfVariable& axis, const std::vector<double>& centres, const std::vector<double>& bounds,
                  hid_t bound) {
    Handle dataset = create_dataset(file, axis.name, H5T_NATIVE_DOUBLE, {centres.size()});
    make_scale(dataset, axis.name, centres.size(), true);
    describe(dataset, axis);
    write_attribute(dataset, "bounds", axis.name + "_bounds");
    std::vector<double> pairs;
    for (std::size_t k = 0; k + 1 < bounds.size(); ++k) pairs.insert(pairs.end(), {bounds[k], bounds[k + 1]});
    require(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, centres.data()), "write an axis");
    const Handle edges = create_dataset(file, axis.name + "_bounds", H5T_NATIVE_DOUBLE, {centres.size(), 2});
    attach_scales(edges, {dataset, bound});
    require(H5Dwrite(edges, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, pairs.data()), "write an axis");
    return dataset;
  }

  /// Appends one record to a dataset of shape (time, rest...).
  static void append(hid_t dataset, hsize_t record, const std::vector<hsize_t>& rest, const double* values) {
    std::vector<hsize_t> shape = {record + 1}, start(rest.size() + 1, 0), count = {1};
    shape.insert(shape.end(), rest.begin(), rest.end());
    count.insert(count.end(), rest.begin(), rest.end());
    start[0] = record;
    require(H5Dset_extent(dataset, shape.data()), "write a record");
    const Handle space(H5Dget_space(dataset), H5Sclose, "write a record");
    require(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "write a record");
    const Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose,
                        "write a record");
    require(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, values), "write a record");
  }
};

template <class Body>
void LatLonWriter::on_root(const Body& body) {
  const output::QuietErrors quiet;
  std::string reason;
  if (rank_ == 0) try {
      body();
    } catch (const RunError& error) {
      reason = error.what();
    }
  int failed = reason.empty() ? 0 : 1;
  MPI_Bcast(&failed, 1, MPI_INT, 0, comm_);
  if (failed)
    throw RunError(fmt::format("writing {} failed ({}): is the disk full or the folder gone?", path_,
                               reason.empty() ? "on rank 0" : reason));
}

LatLonWriter::LatLonWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const LatLonGrid& grid,
                           Remap remap, const std::vector<CfVariable>& variables,
                           const std::vector<CfAttribute>& attributes, const std::string& time_units)
    : path_(path), comm_(comm), tiling_(tiling), grid_(grid), remap_(std::move(remap)), variables_(variables) {
  MPI_Comm_rank(comm_, &rank_);
  on_root([&] { file_ = std::make_unique<File>(path_, grid, variables_, attributes, time_units); });
}

LatLonWriter::LatLonWriter(const std::string& path, MPI_Comm comm, const Tiling& tiling, const LatLonGrid& grid,
                           Remap remap, int records, const std::vector<CfVariable>& variables)
    : path_(path),
      comm_(comm),
      tiling_(tiling),
      grid_(grid),
      remap_(std::move(remap)),
      variables_(variables),
      records_(records) {
  MPI_Comm_rank(comm_, &rank_);
  on_root([&] { file_ = std::make_unique<File>(path_, grid, variables_); });
}

LatLonWriter::~LatLonWriter() = default;

std::vector<double> LatLonWriter::to_grid(const std::vector<double>& tiles) {
  const std::vector<double> global = gather_to_root(tiling_, tiles, comm_);
  std::vector<double> remapped;
  on_root([&] {
    remapped = remap_(global);
    if (remapped.size() != file_->rows * file_->columns) throw RunError("the remap gave a field of a wrong size");
  });
  return remapped;
}

void LatLonWriter::write(double time_seconds, const std::map<std::string, std::vector<double>>& fields,
                         const std::vector<double> (&velocity)[3]) {
  std::vector<double> wind[3];
  for (int c = 0; c < 3; ++c) wind[c] = to_grid(velocity[c]);
  for (std::size_t k = 0; k < variables_.size(); ++k) {
    const std::string& name = variables_[k].name;
    std::vector<double> remapped;
    if (name == "u" || name == "v") {
      remapped.resize(wind[0].size());
      for (std::size_t cell = 0; cell < remapped.size(); ++cell) {
        const Vector3 r = to_cartesian(LonLat{grid_.lon[cell % grid_.lon.size()] * kQuarterPi / 45,
                                              grid_.lat[cell / grid_.lon.size()] * kQuarterPi / 45});
        remapped[cell] =
            dot({wind[0][cell], wind[1][cell], wind[2][cell]}, name == "u" ? east_vector(r) : north_vector(r));
      }
    } else {
      const auto found = fields.find(name);
      if (found == fields.end()) throw std::logic_error("LatLonWriter::write: no field " + name);
      remapped = to_grid(found->second);
    }
    on_root([&] { File::append(file_->variables[k], records_, {file_->rows, file_->columns}, remapped.data()); });
  }
  on_root([&] {
    File::append(file_->time, records_, {}, &time_seconds);
    require(H5Fflush(file_->file, H5F_SCOPE_GLOBAL), "flush the file");
  });
  ++records_;
}

}  // namespace tramontane
