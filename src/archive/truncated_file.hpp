/// Opens HDF5 files whose end is missing, or which another job is still writing.
#pragma once

#include <functional>
#include <string>

#include "src/hdf5_handles.hpp"

namespace tramontane::hdf5 {

/// Opens a file for reading that HDF5's own drivers refuse as truncated: a copy that broke off, a disk that was full. A
/// driver of our own says that the file is as long as it should be and gives zeros for what is missing, so metadata
/// there fails its checks, and data there must be checked by whoever reads it. The file itself is never changed. Throws
/// Hdf5Error when even the beginning can not be read.
Handle open_truncated_file(const std::string& path);

/// Opens a file for reading whose structure another job may change at any time. After every read of structure
/// `is_unchanged` is asked, and when it says no the read fails, now and for as long as the file is open: HDF5 never gets
/// to see a structure that is half old and half new, which can crash it. Data is not guarded; whoever reads it must check
/// it. No locks are taken. Throws Hdf5Error.
Handle open_changing_file(const std::string& path, std::function<bool()> is_unchanged);

}  // namespace tramontane::hdf5
