/// Whether all ranks can use a folder, whether it is one folder for all of them, and how fast it is.
#pragma once

#include <mpi.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tramontane {

struct StorageReport {
  std::filesystem::path folder;
  double bytes = 0;                            ///< of all ranks together
  double write_seconds = 0, read_seconds = 0;  ///< of the slowest rank; writing includes fsync
  int slowest = 0;                             ///< rank that wrote longest
  double slowest_share = 1;                    ///< its time over the mean
  double free_bytes = 0;
  std::vector<std::string> obstacles;  ///< by rank, on rank 0; empty: none
  bool good() const;
};

/// Every rank writes a file of its own into the folder, all at once, reads it back past the page cache where the system
/// lets it, compares and removes it. Rank 0 leaves a mark that all must see. Collective; throws nothing of its own.
StorageReport try_storage(const std::filesystem::path& folder, MPI_Comm comm);

/// The folder itself or the nearest one above it that is there.
std::filesystem::path existing_folder(const std::filesystem::path& folder);

}  // namespace tramontane
