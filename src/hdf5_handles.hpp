/// HDF5 with owners and exceptions: handles that close themselves, calls that throw with the library's own words.
///
/// Every failed call throws Hdf5Error, a RunError, whose text ends with HDF5's reason. Readers of users' files catch it
/// and throw an InputError instead. HDF5's automatic printing of its error stack is switched off by the first handle.
#pragma once

#include <hdf5.h>
#include <hdf5_hl.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/errors.hpp"

namespace tramontane::hdf5 {

struct Hdf5Error : RunError {
  using RunError::RunError;
};

/// The lock that every HDF5 call is made under while more than one thread of the process uses the library: Debian's
/// parallel HDF5 is not built for threads. Held for one sample at most by those who read ahead.
std::unique_lock<std::recursive_mutex> library_lock();

/// Innermost and outermost message of the current error stack, in one line; empty when there is none.
std::string error_text();

/// Stops HDF5 from printing its error stack to standard error.
void silence_errors();

/// Returns `result`, or throws Hdf5Error("<what>: <HDF5's reason>") when it is negative.
template <class T>
T check(T result, const std::string& what) {
  if (result < 0) {
    const std::string reason = error_text();
    throw Hdf5Error(reason.empty() ? what : what + ": " + reason);
  }
  return result;
}

/// Owner of one HDF5 identifier. Moves, never copies.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);

  Handle() = default;
  /// Throws Hdf5Error when `id` is negative; `what` says what was tried.
  Handle(hid_t id, Closer closer, const std::string& what) : id_(check(id, what)), closer_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) closer_(id_);
  }

  operator hid_t() const { return id_; }
  bool open() const { return id_ >= 0; }
  /// Gives the identifier away without closing it.
  hid_t release() { return std::exchange(id_, -1); }
  /// Closes now and throws Hdf5Error when that fails (a file's last bytes may reach the disk only here).
  void close(const std::string& what) {
    if (id_ >= 0) check(closer_(std::exchange(id_, -1)), what);
  }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

/// In-memory HDF5 type of T.
template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, float>)
    return H5T_NATIVE_FLOAT;
  else if constexpr (std::is_same_v<T, double>)
    return H5T_NATIVE_DOUBLE;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return H5T_NATIVE_INT32;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return H5T_NATIVE_INT64;
  else if constexpr (std::is_same_v<T, std::uint64_t>)
    return H5T_NATIVE_UINT64;
  else
    static_assert(!sizeof(T), "no HDF5 type for T");
}

// Files and groups.
Handle property_list(hid_t kind);
Handle create_file(const std::string& path, hid_t access = H5P_DEFAULT);
Handle open_file(const std::string& path, unsigned flags = H5F_ACC_RDONLY, hid_t access = H5P_DEFAULT);
/// Opens a file image in memory; the library takes a copy.
Handle open_image(std::span<const std::byte> image);
/// The bytes of an open file, as they would lie on disk.
std::vector<std::byte> file_image(hid_t file);
Handle create_group(hid_t where, const std::string& name);
Handle open_group(hid_t where, const std::string& name);
/// Whether a link of that name exists directly in `where`.
bool has_link(hid_t where, const std::string& name);

// Dataspaces and datasets.
Handle dataspace(std::span<const hsize_t> dims, std::span<const hsize_t> max_dims = {});
Handle create_dataset(hid_t where, const std::string& name, hid_t type, hid_t space, hid_t creation = H5P_DEFAULT);
Handle open_dataset(hid_t where, const std::string& name);
std::vector<hsize_t> dimensions(hid_t dataset);

/// Writes or reads a whole dataset of any rank; read() sizes the result by the dataset.
template <class T>
void write(hid_t dataset, const T* data) {
  check(H5Dwrite(dataset, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "cannot write an HDF5 dataset");
}
template <class T>
std::vector<T> read(hid_t dataset) {
  hsize_t count = 1;
  for (const hsize_t size : dimensions(dataset)) count *= size;
  std::vector<T> out(count);
  if (count > 0)
    check(H5Dread(dataset, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()), "cannot read an HDF5 dataset");
  return out;
}

/// Makes a dataset a dimension scale, and names axis `axis` of `dataset` by it.
void make_scale(hid_t scale, const std::string& name);
void attach_scale(hid_t dataset, hid_t scale, unsigned axis);

// Attributes: scalar numbers and strings of fixed length.
bool has_attribute(hid_t where, const std::string& name);
void write_attribute(hid_t where, const std::string& name, const std::string& value);
/// Strings of fixed or variable length.
std::string read_string_attribute(hid_t where, const std::string& name);

/// Creates the attribute, or overwrites the value of the one that exists.
void write_attribute_raw(hid_t where, const std::string& name, hid_t type, const void* value);
void read_attribute_raw(hid_t where, const std::string& name, hid_t type, void* value);

template <class T>
requires std::is_arithmetic_v<T>
void write_attribute(hid_t where, const std::string& name, T value) {
  write_attribute_raw(where, name, native_type<T>(), &value);
}
template <class T>
T read_attribute(hid_t where, const std::string& name) {
  T value{};
  read_attribute_raw(where, name, native_type<T>(), &value);
  return value;
}

}  // namespace tramontane::hdf5
