/// Claims disk blocks before a parallel write needs them.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>

namespace tramontane {

/// Makes sure that `path` can grow to `size` bytes: claims the blocks where the file system can do that (the file's
/// length stays), else compares with the free space. Returns why it cannot, or nothing.
std::string claim_room(const std::string& path, std::int64_t size);

/// Why this process may not write `size` bytes into one file (ulimit -f), or nothing.
std::string file_limit_reason(std::int64_t size);

/// Throws RunError on all ranks if `path` cannot grow to `size` bytes; makes the file if there is none. Collective. Once
/// parallel HDF5 is at work it would be too late: where a write fails on one rank, the others wait for it inside the library.
void require_room(const std::string& path, MPI_Comm comm, std::int64_t size);

}  // namespace tramontane
