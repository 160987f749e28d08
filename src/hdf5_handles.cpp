#include "src/hdf5_handles.hpp"

#include <algorithm>

namespace tramontane::hdf5 {

namespace {

struct ErrorEnds {
  std::string innermost, outermost;
};

herr_t note_error(unsigned, const H5E_error2_t* entry, void* data) {
  auto& ends = *static_cast<ErrorEnds*>(data);
  const std::string text = entry->desc != nullptr ? entry->desc : "";
  if (ends.innermost.empty()) ends.innermost = text;
  ends.outermost = text;
  return 0;
}

Handle string_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "cannot make an HDF5 string type");
  check(H5Tset_size(type, std::max<std::size_t>(size, 1)), "cannot size an HDF5 string type");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), "cannot pad an HDF5 string type");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "cannot set the characters of an HDF5 string type");
  return type;
}

}  // namespace

std::unique_lock<std::recursive_mutex> library_lock() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

std::string error_text() {
  ErrorEnds ends;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_error, &ends);
  if (ends.innermost == ends.outermost) return ends.innermost;
  return ends.outermost + " (" + ends.innermost + ")";
}

void silence_errors() {
  static const herr_t done = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)done;
}

Handle property_list(hid_t kind) {
  silence_errors();
  return Handle(H5Pcreate(kind), H5Pclose, "cannot create an HDF5 property list");
}

Handle create_file(const std::string& path, hid_t access) {
  silence_errors();
  return Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose,
                "cannot create the HDF5 file " + path);
}

Handle open_file(const std::string& path, unsigned flags, hid_t access) {
  silence_errors();
  return Handle(H5Fopen(path.c_str(), flags, access), H5Fclose, "cannot open the HDF5 file " + path);
}

Handle open_image(std::span<const std::byte> image) {
  Handle access = property_list(H5P_FILE_ACCESS);
  check(H5Pset_fapl_core(access, 1 << 16, false), "cannot use HDF5's memory driver");
  check(H5Pset_file_image(access, const_cast<std::byte*>(image.data()), image.size()), "cannot set an HDF5 file image");
  return open_file("image", H5F_ACC_RDONLY, access);
}

std::vector<std::byte> file_image(hid_t file) {
  check(H5Fflush(file, H5F_SCOPE_GLOBAL), "cannot flush an HDF5 file");
  const ssize_t size = check(H5Fget_file_image(file, nullptr, 0), "cannot size an HDF5 file image");
  std::vector<std::byte> image(static_cast<std::size_t>(size));
  check(H5Fget_file_image(file, image.data(), image.size()), "cannot take an HDF5 file image");
  return image;
}

Handle create_group(hid_t where, const std::string& name) {
  return Handle(H5Gcreate2(where, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose,
                "cannot create the group " + name);
}

Handle open_group(hid_t where, const std::string& name) {
  return Handle(H5Gopen2(where, name.c_str(), H5P_DEFAULT), H5Gclose, "cannot open the group " + name);
}

bool has_link(hid_t where, const std::string& name) {
  return check(H5Lexists(where, name.c_str(), H5P_DEFAULT), "cannot look for " + name) > 0;
}

Handle dataspace(std::span<const hsize_t> dims, std::span<const hsize_t> max_dims) {
  return Handle(
      H5Screate_simple(static_cast<int>(dims.size()), dims.data(), max_dims.empty() ? nullptr : max_dims.data()),
      H5Sclose, "cannot create an HDF5 dataspace");
}

Handle create_dataset(hid_t where, const std::string& name, hid_t type, hid_t space, hid_t creation) {
  return Handle(H5Dcreate2(where, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose,
                "cannot create the dataset " + name);
}

Handle open_dataset(hid_t where, const std::string& name) {
  return Handle(H5Dopen2(where, name.c_str(), H5P_DEFAULT), H5Dclose, "cannot open the dataset " + name);
}

std::vector<hsize_t> dimensions(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose, "cannot read the shape of a dataset");
  std::vector<hsize_t> dims(check(H5Sget_simple_extent_ndims(space), "cannot read the rank of a dataset"));
  check(H5Sget_simple_extent_dims(space, dims.data(), nullptr), "cannot read the shape of a dataset");
  return dims;
}

void make_scale(hid_t scale, const std::string& name) {
  check(H5DSset_scale(scale, name.c_str()), "cannot make a dimension scale of " + name);
}

void attach_scale(hid_t dataset, hid_t scale, unsigned axis) {
  check(H5DSattach_scale(dataset, scale, axis), "cannot attach a dimension scale");
}

bool has_attribute(hid_t where, const std::string& name) {
  return check(H5Aexists(where, name.c_str()), "cannot look for the attribute " + name) > 0;
}

void write_attribute(hid_t where, const std::string& name, const std::string& value) {
  if (has_attribute(where, name)) check(H5Adelete(where, name.c_str()), "cannot replace the attribute " + name);
  const Handle type = string_type(value.size());
  // An empty string still needs one byte to write from: the terminator.
  write_attribute_raw(where, name, type, value.c_str());
}

std::string read_string_attribute(hid_t where, const std::string& name) {
  const Handle attribute(H5Aopen(where, name.c_str(), H5P_DEFAULT), H5Aclose, "cannot open the attribute " + name);
  const Handle stored(H5Aget_type(attribute), H5Tclose, "cannot read the type of the attribute " + name);
  if (H5Tget_class(stored) != H5T_STRING) throw Hdf5Error("the attribute " + name + " is not a string");
  if (H5Tis_variable_str(stored) > 0) {
    char* text = nullptr;
    check(H5Aread(attribute, stored, &text), "cannot read the attribute " + name);
    const std::string value = text != nullptr ? text : "";
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(stored), '\0');
  check(H5Aread(attribute, stored, value.data()), "cannot read the attribute " + name);
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
}

void write_attribute_raw(hid_t where, const std::string& name, hid_t type, const void* value) {
  Handle attribute;
  if (has_attribute(where, name)) {
    attribute = Handle(H5Aopen(where, name.c_str(), H5P_DEFAULT), H5Aclose, "cannot open the attribute " + name);
  } else {
    const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "cannot create a scalar dataspace");
    attribute = Handle(H5Acreate2(where, name.c_str(), type, scalar, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                       "cannot create the attribute " + name);
  }
  check(H5Awrite(attribute, type, value), "cannot write the attribute " + name);
}

void read_attribute_raw(hid_t where, const std::string& name, hid_t type, void* value) {
  const Handle attribute(H5Aopen(where, name.c_str(), H5P_DEFAULT), H5Aclose, "cannot open the attribute " + name);
  const Handle space(H5Aget_space(attribute), H5Sclose, "cannot read the shape of the attribute " + name);
  if (H5Sget_simple_extent_npoints(space) != 1) throw Hdf5Error("the attribute " + name + " is not a single number");
  check(H5Aread(attribute, type, value), "cannot read the attribute " + name);
}

}  // namespace tramontane::hdf5
