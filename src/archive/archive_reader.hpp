/// Reads the samples of an archive, for offline training. Serial; the number of ranks that wrote does not matter.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane {

/// Every fault of a file is an InputError of one sentence that names the file. read() may be called from any thread:
/// it holds HDF5's lock (hdf5::library_lock).
class ArchiveReader {
 public:
  /// Checks that the file exists, is HDF5, whole and, when it was finished, as it was left (archive_seal.hpp), is an
  /// archive of this version, and holds every variable of sample_inputs() and sample_targets() in the expected shape
  /// and units.
  /// @param accept_truncated open a file whose end is missing too: what can not be found there fails when it is read
  explicit ArchiveReader(const std::string& path, bool accept_truncated = false);
  /// The same on a file that is opened by `open` (open_changing_file).
  ArchiveReader(const std::string& path, const std::function<hdf5::Handle()>& open);

  std::int64_t size() const { return static_cast<std::int64_t>(infos_.size()); }
  const SampleInfo& info(std::int64_t k) const { return infos_.at(static_cast<std::size_t>(k)); }
  /// Reads sample k in [0, size()). Throws InputError when its checksum does not match or it holds NaN or infinity.
  Sample read(std::int64_t k) const {
    Sample sample;
    read(k, sample);
    return sample;
  }
  /// The same into a sample whose memory is used again.
  void read(std::int64_t k, Sample& into) const;
  /// Reads every sample once, as read() does.
  void verify() const;

  const std::string& path() const { return path_; }
  int n() const { return tiling_.n; }
  int tiles_per_edge() const { return tiling_.tiles_per_edge; }
  double interval_seconds() const { return interval_seconds_; }
  const std::string& run_id() const { return run_id_; }
  const std::string& code_version() const { return code_version_; }
  const std::string& source() const { return source_; }
  /// Of the coarse solver that taught, lines "key = value"; empty where the archive does not say.
  const std::string& physics() const { return physics_; }
  /// False when the writing run ended early: then size() counts the samples of its last flush.
  bool complete() const { return complete_ && !truncated_; }
  /// Whether the end of the file is missing.
  bool truncated() const { return truncated_; }
  /// Depends on every value and mark of sample k, as far as its stored checksums do.
  std::uint64_t fingerprint(std::int64_t k) const;
  /// Cell centres (degrees) and areas (m2), (6, n, n).
  std::vector<double> lon() const { return coordinate("lon"); }
  std::vector<double> lat() const { return coordinate("lat"); }
  std::vector<double> cell_area() const { return coordinate("cell_area"); }

 private:
  void begin(const std::function<void()>& open);
  void read_structure();
  bool check_seal() const;
  void open_file(bool accept_truncated);
  void read_checksums(std::int64_t samples);
  void open_variable(const std::string& group, const Variable& what);
  void read_infos(std::int64_t samples);
  void check_tiles(std::int64_t k, const Sample& sample) const;
  std::vector<double> coordinate(const std::string& name) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  Tiling tiling_;
  double interval_seconds_ = 0;
  std::string run_id_, code_version_, source_, physics_;
  std::int32_t version_ = 0;
  bool complete_ = false, truncated_ = false;
  std::vector<SampleInfo> infos_;
  hdf5::Handle file_;
  std::vector<hdf5::Handle> variables_;   // inputs, then targets
  std::vector<std::uint64_t> checksums_;  // (samples, tiles)
};

}  // namespace tramontane
