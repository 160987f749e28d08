#include "src/output/cf_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <numeric>

#include "kernels/errors.hpp"
#include "src/archive/disk_room.hpp"
#include "src/output/tile_order.hpp"

namespace tramontane {

using output::attach_scales;
using output::create_dataset;
using output::Handle;
using output::make_scale;
using output::QuietErrors;
using output::require;
using output::write_attribute;

namespace {

void describe(hid_t dataset, const CfVariable& variable) {
  write_attribute(dataset, "standard_name", variable.standard_name);
  write_attribute(dataset, "long_name", variable.long_name);
  write_attribute(dataset, "units", variable.units);
}

}  // namespace

template <class Body>
void CfFile::together(const std::string& what, const Body& body) {
  const QuietErrors quiet;
  std::string reason;
  try {
    body();
  } catch (const RunError& error) {
    reason = error.what();
  }
  int failed = reason.empty() ? 0 : 1;
  MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, comm_);
  if (failed)
    throw RunError(fmt::format("{} {} failed ({}): is the disk full or the folder gone?", what, path_,
                               reason.empty() ? "on another rank" : reason));
}

void CfFile::open(bool anew) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "open the file");
  require(H5Pset_fapl_mpio(access, comm_, MPI_INFO_NULL), "open the file");
  require(H5Pset_coll_metadata_write(access, true), "open the file");
  // Every open object goes with the file, so that closing the writer always closes the file.
  require(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), "open the file");
  file_ = Handle(anew ? H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access)
                      : H5Fopen(path_.c_str(), H5F_ACC_RDWR, access),
                 H5Fclose, "open the file");
  collective_ = Handle(H5Pcreate(H5P_DATASET_XFER), H5Pclose, "open the file");
  require(H5Pset_dxpl_mpio(collective_, H5FD_MPIO_COLLECTIVE), "open the file");
}

CfFile::CfFile(const std::string& path, MPI_Comm comm, const Tiling& tiling, const std::string& leading,
               const std::vector<CfVariable>& fields)
    : path_(path), comm_(comm), tiling_(tiling) {
  MPI_Comm_rank(comm_, &rank_);
  file_order_ = order_in_file(tiling_, rank_);
  together("opening", [&] {
    open(false);
    const auto dataset = [&](const std::string& name) {
      return Handle(H5Dopen2(file_, name.c_str(), H5P_DEFAULT), H5Dclose, "open the variable " + name);
    };
    lengths_[leading] = H5S_UNLIMITED;
    scales_[leading] = dataset(leading);
    for (const CfVariable& field : fields) fields_[field.name] = {dataset(field.name), {leading}};
  });
}

CfFile::CfFile(const std::string& path, MPI_Comm comm, const Tiling& tiling, const CfGrid& grid,
               const std::vector<CfAttribute>& attributes)
    : path_(path), comm_(comm), tiling_(tiling) {
  MPI_Comm_rank(comm_, &rank_);
  file_order_ = order_in_file(tiling_, rank_);
  together("making", [&] {
    open(true);
    const Handle root(H5Gopen2(file_, "/", H5P_DEFAULT), H5Gclose, "open the file");
    write_attribute(root, "Conventions", "CF-1.8");
    for (const CfAttribute& attribute : attributes) write_attribute(root, attribute.name, attribute.value);
  });
  std::vector<double> panels(kPanels);
  std::iota(panels.begin(), panels.end(), 0.0);
  add_dimension({"panel", "1", "panel of the cubed sphere: 0 to 3 around the equator, 4 north, 5 south", ""}, panels);
  add_dimension({"y", "degrees", "panel angle beta of the cell centres", ""}, grid.angles);
  add_dimension({"x", "degrees", "panel angle alpha of the cell centres", ""}, grid.angles);
  together("writing", [&] { write_grid(grid); });
}

void CfFile::write_from_root(hid_t dataset, hid_t type, const void* data) {
  const Handle file_space(H5Dget_space(dataset), H5Sclose, "write a coordinate");
  const Handle memory_space(H5Scopy(file_space), H5Sclose, "write a coordinate");
  if (rank_ != 0) {
    H5Sselect_none(file_space);
    H5Sselect_none(memory_space);
  }
  require(H5Dwrite(dataset, type, memory_space, file_space, collective_, data), "write a coordinate");
}

void CfFile::write_grid(const CfGrid& grid) {
  const hsize_t n = grid.n, panels = kPanels, vertices = 4;
  scales_["vertex"] = create_dataset(file_, "vertex", H5T_NATIVE_FLOAT, {vertices});
  make_scale(scales_["vertex"], "vertex", vertices, false);
  const std::vector<hid_t> cell = {scales_["panel"], scales_["y"], scales_["x"]};
  std::vector<hid_t> outline = cell;
  outline.push_back(scales_["vertex"]);

  const auto add = [&](const CfVariable& variable, const std::vector<double>& values, const std::string& bounds,
                       const std::vector<double>& bound_values) {
    const Handle dataset = create_dataset(file_, variable.name, H5T_NATIVE_DOUBLE, {panels, n, n});
    describe(dataset, variable);
    attach_scales(dataset, cell);
    write_from_root(dataset, H5T_NATIVE_DOUBLE, values.data());
    if (bounds.empty()) {
      write_attribute(dataset, "coordinates", "lon lat");
      return;
    }
    write_attribute(dataset, "bounds", bounds);
    const Handle corners = create_dataset(file_, bounds, H5T_NATIVE_DOUBLE, {panels, n, n, vertices});
    attach_scales(corners, outline);
    write_from_root(corners, H5T_NATIVE_DOUBLE, bound_values.data());
  };
  add({"lon", "degrees_east", "longitude of the cell centre", "longitude"}, grid.lon, "lon_bounds", grid.lon_vertices);
  add({"lat", "degrees_north", "latitude of the cell centre", "latitude"}, grid.lat, "lat_bounds", grid.lat_vertices);
  add({"cell_area", "m2", "area of the cell", "cell_area"}, grid.area, "", {});
}

void CfFile::add_dimension(const CfVariable& coordinate, const std::vector<double>& values,
                           const std::vector<CfAttribute>& attributes) {
  together("writing", [&] {
    const bool unlimited = values.empty();
    const hsize_t length = unlimited ? H5S_UNLIMITED : values.size();
    const std::vector<hsize_t> chunk = unlimited ? std::vector<hsize_t>{512} : std::vector<hsize_t>{};
    Handle dataset = create_dataset(file_, coordinate.name, H5T_NATIVE_DOUBLE, {length}, chunk);
    make_scale(dataset, coordinate.name, length, true);
    describe(dataset, coordinate);
    for (const CfAttribute& attribute : attributes) write_attribute(dataset, attribute.name, attribute.value);
    if (!unlimited) write_from_root(dataset, H5T_NATIVE_DOUBLE, values.data());
    lengths_[coordinate.name] = length;
    scales_[coordinate.name] = std::move(dataset);
  });
}

void CfFile::add_labels(const CfVariable& variable, const std::string& dimension,
                        const std::vector<std::string>& labels) {
  together("writing", [&] {
    std::size_t width = 1;
    for (const std::string& label : labels) width = std::max(width, label.size());
    std::string text;
    for (std::string label : labels) {
      label.resize(width, ' ');
      text += label;
    }
    const std::string width_name = variable.name + "_length";
    scales_[width_name] = create_dataset(file_, width_name, H5T_NATIVE_FLOAT, {width});
    make_scale(scales_[width_name], width_name, width, false);
    const Handle dataset = create_dataset(file_, variable.name, H5T_C_S1, {labels.size(), width});
    describe(dataset, variable);
    write_attribute(dataset, "_Encoding", "utf-8");
    attach_scales(dataset, {scales_.at(dimension), scales_[width_name]});
    write_from_root(dataset, H5T_C_S1, text.data());
  });
}

void CfFile::add_field(const CfVariable& variable, const std::vector<std::string>& leading) {
  together("writing", [&] {
    const hsize_t n = tiling_.n;
    std::vector<hsize_t> shape, chunk;
    std::vector<hid_t> scales;
    for (const std::string& dimension : leading) {
      shape.push_back(lengths_.at(dimension));
      chunk.push_back(1);
      scales.push_back(scales_.at(dimension));
    }
    for (const char* dimension : {"panel", "y", "x"}) scales.push_back(scales_.at(dimension));
    shape.insert(shape.end(), {kPanels, n, n});
    chunk.insert(chunk.end(), {1, n, n});
    Handle dataset = create_dataset(file_, variable.name, H5T_NATIVE_DOUBLE, shape, chunk);
    describe(dataset, variable);
    write_attribute(dataset, "coordinates", "lon lat");
    write_attribute(dataset, "cell_measures", "area: cell_area");
    attach_scales(dataset, scales);
    fields_[variable.name] = {std::move(dataset), leading};
  });
}

void CfFile::write_elements(Field& field, const std::vector<hsize_t>& record, const std::vector<double>& tiles) {
  const std::string what = "write a field";
  const int leading = static_cast<int>(record.size());
  std::vector<hsize_t> shape(leading + 3);
  Handle space(H5Dget_space(field.dataset), H5Sclose, what);
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  if (leading > 0 && record[0] >= shape[0]) {
    shape[0] = record[0] + 1;
    require(H5Dset_extent(field.dataset, shape.data()), what);
    space = Handle(H5Dget_space(field.dataset), H5Sclose, what);
  }

  require(H5Sselect_none(space), what);
  const hsize_t size = tiling_.tile_cells();
  const int first = tiling_.first_tile(rank_), count = tiling_.owned_count(rank_);
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace place = tiling_.place(tile);
    std::vector<hsize_t> start = record, block(leading, 1);
    start.insert(start.end(), {static_cast<hsize_t>(place.panel), place.tj * size, place.ti * size});
    block.insert(block.end(), {1, size, size});
    const std::vector<hsize_t> one(leading + 3, 1);
    require(H5Sselect_hyperslab(space, H5S_SELECT_OR, start.data(), nullptr, one.data(), block.data()), what);
  }
  std::vector<double> ordered(tiles.size());
  for (std::size_t k = 0; k < ordered.size(); ++k) ordered[k] = tiles[file_order_[k]];
  const hsize_t elements = ordered.size();
  const Handle memory(H5Screate_simple(1, &elements, nullptr), H5Sclose, what);
  require(H5Dwrite(field.dataset, H5T_NATIVE_DOUBLE, memory, space, collective_, ordered.data()), what);
}

void CfFile::write(const std::string& name, const std::vector<hsize_t>& record, const std::vector<double>& tiles) {
  const auto found = fields_.find(name);
  if (found == fields_.end() || found->second.leading.size() != record.size() || tiles.size() != file_order_.size())
    throw std::logic_error(
        fmt::format("CfFile::write: {} is no such field, or record or tiles have a wrong size", name));
  together("writing", [&] { write_elements(found->second, record, tiles); });
}

void CfFile::write_coordinate(const std::string& name, hsize_t index, double value) {
  together("writing", [&] {
    const Handle& dataset = scales_.at(name);
    hsize_t length = 0;
    Handle space(H5Dget_space(dataset), H5Sclose, "write a coordinate");
    H5Sget_simple_extent_dims(space, &length, nullptr);
    if (index >= length) {
      length = index + 1;
      require(H5Dset_extent(dataset, &length), "write a coordinate");
      space = Handle(H5Dget_space(dataset), H5Sclose, "write a coordinate");
    }
    const hsize_t one = 1;
    const Handle memory(H5Screate_simple(1, &one, nullptr), H5Sclose, "write a coordinate");
    if (rank_ == 0) {
      require(H5Sselect_hyperslab(space, H5S_SELECT_SET, &index, nullptr, &one, nullptr), "write a coordinate");
    } else {
      H5Sselect_none(space);
      H5Sselect_none(memory);
    }
    require(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, memory, space, collective_, &value), "write a coordinate");
  });
}

void CfFile::require_room_for(std::size_t fields) {
  constexpr std::int64_t kStructure = 4096;  // a record's entry in the chunk index, and some to spare
  std::int64_t size = 0;
  std::error_code none;
  if (rank_ == 0) size = static_cast<std::int64_t>(std::filesystem::file_size(path_, none));
  MPI_Bcast(&size, 1, MPI_INT64_T, 0, comm_);
  size += static_cast<std::int64_t>(fields) * (static_cast<std::int64_t>(sizeof(double)) * tiling_.cell_count() + kStructure);
  require_room(path_, comm_, size);
}

void CfFile::flush() {
  together("writing", [&] { require(H5Fflush(file_, H5F_SCOPE_GLOBAL), "flush the file"); });
}

}  // namespace tramontane
