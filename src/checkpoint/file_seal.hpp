/// Makes a file tell by itself whether it is whole: a first block that holds format, size and checksum of the rest.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>

namespace tramontane {

/// Size of the first block, bytes: HDF5's smallest user block, which the library skips.
inline constexpr std::uint64_t kSealBytes = 512;

/// What a look at a sealed file gave.
struct SealCheck {
  int format = 0;      ///< as the seal says; this and the next two are meaningful when there is no damage
  std::uint64_t bytes = 0, checksum = 0;  ///< length of the file, and the sum over all behind the seal
  std::string damage;  ///< why the file is not whole; empty when it is
};

/// XXH3 over the XXH3 sums of the file's pieces of 1 MiB behind the seal, which the ranks of `comm` share out; the same
/// on any number of ranks. Collective; every rank throws RunError when one can not read its pieces.
std::uint64_t checksum_behind_seal(const std::string& path, std::uint64_t file_bytes, MPI_Comm comm);

/// Writes the seal into the first kSealBytes bytes and brings the file to the disk (fsync). Collective; throws RunError
/// on every rank.
void seal_file(const std::string& path, int format, MPI_Comm comm);

/// Recomputes everything; a single changed bit anywhere in the file is damage, and so is a changed length. Reads the
/// file without HDF5, which may not survive damaged metadata. Collective, never throws for what the file holds.
SealCheck check_seal(const std::string& path, MPI_Comm comm);

}  // namespace tramontane
