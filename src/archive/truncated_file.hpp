/// Opens HDF5 files whose end is missing.
#pragma once

#include <string>

#include "src/hdf5_handles.hpp"

namespace tramontane::hdf5 {

/// Opens a file for reading that HDF5's own drivers refuse as truncated: a copy that broke off, a disk that was full. A
/// driver of our own says that the file is as long as it should be and gives zeros for what is missing, so metadata
/// there fails its checks, and data there must be checked by whoever reads it. The file itself is never changed. Throws
/// Hdf5Error when even the beginning can not be read.
Handle open_truncated_file(const std::string& path);

}  // namespace tramontane::hdf5
