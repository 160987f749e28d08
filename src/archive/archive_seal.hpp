/// What makes a finished archive tell by itself whether it is as it was left.
///
/// Samples carry checksums of their own, but the file's structure, attributes and coordinates do not. The seal lies
/// behind HDF5's end of the file, where the library does not look: pairs of uint64 (first byte, bytes), the runs of the
/// samples' values; then kSealText bytes of text with the length of the file without seal, the number of runs and two
/// XXH3 sums. One covers every byte of the file that is in no run, used by HDF5 or not, and the runs themselves; the
/// other the text before it. What lies in the runs is covered by the samples' checksums, so that one damaged sample can
/// be left out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tramontane {

inline constexpr std::size_t kSealText = 256;

/// Bytes of a file.
struct ByteRun {
  std::uint64_t begin = 0, bytes = 0;
  bool operator==(const ByteRun&) const = default;
};

/// Where the values of an archive's samples lie, ascending, neighbours joined. Opens the file by HDF5; throws
/// Hdf5Error.
std::vector<ByteRun> payload_runs(const std::string& path);

/// Appends the seal and brings the file to the disk (fsync). Throws RunError.
void seal_archive(const std::string& path, const std::vector<ByteRun>& runs);

struct ArchiveSeal {
  bool is_present = false;
  std::uint64_t body = 0;  ///< length of the file without its seal
  std::string damage;      ///< why the file is not as it was sealed; empty when it is, or has no seal
};
/// Looks for a seal at the end of the file and recomputes its sums, without HDF5. Throws RunError when the file cannot
/// be read.
ArchiveSeal check_archive_seal(const std::string& path);

}  // namespace tramontane
