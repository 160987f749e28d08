#include "src/output/hdf5_writing.hpp"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include "kernels/errors.hpp"

namespace tramontane::output {

Handle::Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
  if (id < 0) throw RunError("cannot " + what);
}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
  }
  return *this;
}

void Handle::reset() {
  if (id_ >= 0) close_(id_);
  id_ = -1;
}

void require(herr_t status, const std::string& what) {
  if (status < 0) throw RunError("cannot " + what);
}

QuietErrors::QuietErrors() {
  H5Eget_auto2(H5E_DEFAULT, &handler_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietErrors::~QuietErrors() {
  H5Eset_auto2(H5E_DEFAULT, handler_, data_);
}

void write_attribute(hid_t object, const std::string& name, const std::string& value) {
  if (value.empty()) return;
  const std::string what = "write the attribute " + name;
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, what);
  require(H5Tset_size(type, value.size()), what);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, what);
  const Handle attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  require(H5Awrite(attribute, type, value.data()), what);
}

Handle create_dataset(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& shape,
                      const std::vector<hsize_t>& chunk) {
  const std::string what = "make the variable " + name;
  std::vector<hsize_t> now = shape;
  for (hsize_t& length : now)
    if (length == H5S_UNLIMITED) length = 0;
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), now.data(), shape.data()), H5Sclose, what);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  require(H5Pset_obj_track_times(properties, false), what);
  require(H5Pset_fill_time(properties, H5D_FILL_TIME_IFSET), what);
  if (!chunk.empty()) require(H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()), what);
  return Handle(H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose, what);
}

void make_scale(hid_t dataset, const std::string& name, hsize_t length, bool has_values) {
  // The text by which netCDF-4 tells a bare dimension from a coordinate variable.
  const std::string scale_name =
      has_values ? name : fmt::format("This is a netCDF dimension but not a netCDF variable.{:10}", length);
  require(H5DSset_scale(dataset, scale_name.c_str()), "make the dimension " + name);
}

void attach_scales(hid_t dataset, const std::vector<hid_t>& scales) {
  for (std::size_t dimension = 0; dimension < scales.size(); ++dimension)
    require(H5DSattach_scale(dataset, scales[dimension], static_cast<unsigned>(dimension)), "attach a dimension");
}

}  // namespace tramontane::output
