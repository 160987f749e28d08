/// The few HDF5 calls that the CF writers share: handles that close themselves, attributes, dimension scales.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>
#include <vector>

namespace tramontane::output {

/// An HDF5 identifier that closes itself. A null handle holds -1.
class Handle {
 public:
  Handle() = default;
  /// Takes over `id`; throws RunError "cannot <what>" when the call that made it failed.
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what);
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() { reset(); }

  operator hid_t() const { return id_; }
  void reset();

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Throws RunError "cannot <what>" when an HDF5 call returned an error.
void require(herr_t status, const std::string& what);

/// Silences HDF5's own error stack on stderr while it lives: every error of ours is a sentence.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  H5E_auto2_t handler_ = nullptr;
  void* data_ = nullptr;
};

/// Writes a text attribute; an empty text writes none.
void write_attribute(hid_t object, const std::string& name, const std::string& value);

/// Makes a dataset without time stamps, so that equal runs leave equal files. `shape` may have H5S_UNLIMITED in its
/// first place, which makes it chunked with one record a chunk (or `record_chunk` of them in one dimension).
Handle create_dataset(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& shape,
                      const std::vector<hsize_t>& chunk = {});

/// Turns a one-dimensional dataset into a dimension scale, as netCDF-4 expects it. `has_values` false: a dimension
/// without a coordinate variable.
void make_scale(hid_t dataset, const std::string& name, hsize_t length, bool has_values);

/// Attaches scales to the dimensions of a dataset, in order.
void attach_scales(hid_t dataset, const std::vector<hid_t>& scales);

}  // namespace tramontane::output
