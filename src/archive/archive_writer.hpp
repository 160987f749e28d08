/// Writes samples into one HDF5 file that all solver ranks share; opens as netCDF-4 (h5py, xarray).
///
///   /                     attributes: Conventions, format, format_version, n, tiles_per_edge, interval_seconds,
///                         code_version, run_id, source, physics (of the coarse solver, lines "key = value"), samples
///                         (as of the last flush), complete (1 once closed)
///   /input/<name>         float (sample, panel, j, i), attributes units and long_name; /target/<name> the same
///   /number, /time, /month, /trajectory, /validation    (sample)
///   /checksum             uint64 (sample, tile): XXH3 of number, trajectory, validation, month (int64), time
///                         (double) and the tile's floats (j, i), all inputs then all targets
///   /lon, /lat, /cell_area    double (panel, j, i)
///   /sample, /panel, /j, /i, /tile    dimension scales
#pragma once

#include <mpi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane {

/// What happens to an archive's file, for those who read it meanwhile. Between `begins` and the next word the file's
/// structure changes; at all other times it is that of the last flush, with payload behind it that it does not speak
/// of.
enum class ArchiveChange {
  begins,     ///< the structure is about to change
  flushed,    ///< it is whole again, with more samples
  completed,  ///< closed for good
  ended,      ///< closed for good, or never written again, without being complete; what was flushed can be read
  spoiled,    ///< a flush failed: the file may be damaged
};

/// What an archive says about itself.
struct ArchiveMeta {
  double interval_seconds = 0;  ///< coupling interval that the targets are tendencies over, s
  std::string code_version, run_id;
  std::string source;   ///< what the samples were made from, for people
  std::string physics;  ///< what decides the coarse solver's result, lines "key = value"
  /// Cell centres (degrees east and north) and areas (m2), (6, n, n); needed on rank 0 alone.
  std::vector<double> lon, lat, cell_area;
  /// Not to create the file but to go on with the one that is there, behind its first so many samples; what lies behind
  /// them is cut off.
  std::optional<std::int64_t> keep_samples;
  int flush_every = 16;  ///< samples between flushes: what a killed run can lose
  /// Told on every rank, in a place that is collective, with the samples that the file speaks of. No rank begins to
  /// change the structure before all have been told.
  std::function<void(ArchiveChange, std::int64_t samples)> on_change;
};

/// An archive that was to be gone on with is damaged, or is not what it should be.
struct ArchiveUnreadable : InputError {
  using InputError::InputError;
};

/// All member functions but the getters are collective over the communicator. Between two flushes only payload reaches
/// the disk, no metadata, so that a killed run leaves the archive as of its last flush.
class ArchiveWriter {
 public:
  /// Creates or replaces `path`, or goes on with it (ArchiveMeta::keep_samples). Throws InputError on all ranks when
  /// that fails or a size is wrong; ArchiveUnreadable, leaving the file as it is, when it holds no such samples.
  ArchiveWriter(const std::string& path, MPI_Comm solvers, const Tiling& tiling, const ArchiveMeta& meta);
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;
  /// Closes without the complete flag when close() was not called. When an exception passes through, which other ranks
  /// may not see, nothing is closed: that would wait for them. The file is then as of its last flush.
  ~ArchiveWriter();

  /// Appends one sample; `payload` holds one pointer per variable (inputs, then targets) to this rank's (owned tiles,
  /// T, T) floats. Room on the disk is claimed first: when there is none, the archive is closed with all samples before
  /// this one (not marked complete) and RunError is thrown on all ranks together; so it is when a write itself fails,
  /// where the archive keeps what its last flush held at best. After either every append() throws the same; the caller
  /// may take it for a warning and go on.
  void append(const SampleInfo& info, std::span<const float* const> payload);
  /// Makes all that was appended safe against a kill.
  void flush();
  /// Flushes, sets the complete flag, closes and seals the file (archive_seal.hpp); does nothing after a failure that
  /// append() has told. Throws RunError on all ranks when closing itself fails.
  void close();

  std::int64_t size() const { return samples_; }
  bool failed() const { return !failure_.empty(); }
  /// Why writing stopped, one sentence; empty when it has not.
  const std::string& failure() const { return failure_; }

 private:
  void create(const std::string& path, const ArchiveMeta& meta);
  void check_kept(const ArchiveMeta& meta);
  void reopen(std::int64_t kept);
  void create_coordinates(const ArchiveMeta& meta);
  void create_series();
  hdf5::Handle create_growing(hid_t where, const std::string& name, hid_t type, std::vector<hsize_t> row,
                              hsize_t chunk_rows);
  void write_field(hid_t dataset, const float* tiles);
  void write_series(hid_t dataset, hid_t type, const void* value);
  void write_checksums(const SampleInfo& info, std::span<const float* const> payload);
  void make_room(std::int64_t number);
  /// Flushes, and notes how large the file is.
  void settle();
  void close_file(bool complete);
  void tell(ArchiveChange change);
  /// Runs `step`, which changes the file's structure, and makes its errors common.
  void change_structure(const std::string& what, ArchiveChange done, const std::function<void()>& step);
  /// Runs a step; an error is kept and the next steps still run, so that all ranks make the same collective calls.
  void attempt(const std::function<void()>& step);
  /// Makes an error of any rank an error of all: sets failure_ and throws.
  void agree(const std::string& what);
  void release();

  std::string path_;
  int exceptions_at_start_ = std::uncaught_exceptions();
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  Tiling tiling_;
  int flush_every_;
  std::function<void(ArchiveChange, std::int64_t)> on_change_;
  std::int64_t samples_ = 0;
  std::int64_t settled_samples_ = 0, settled_bytes_ = 0;  ///< at the last flush
  std::string error_, failure_;
  hdf5::Handle file_, transfer_;
  std::vector<hdf5::Handle> scales_;     // sample, panel, j, i, tile
  std::vector<hdf5::Handle> variables_;  // inputs, then targets
  std::vector<hdf5::Handle> series_;     // number, time, month, trajectory, validation
  hdf5::Handle checksums_;
  int first_panel_ = 0, panels_ = 0;  // those this rank has tiles of
  std::vector<float> panel_field_;    // (panels_, n, n)
};

}  // namespace tramontane
