/// Samples that a learner holds, kept on disk for its snapshots: one file that only grows, each sample in it once.
///
/// Not HDF5, whose metadata a kill in the middle of a flush can leave in pieces: here nothing that was written is ever
/// touched again. A head of kSampleStoreHead bytes (text), then records of equal length: number (int64), trajectory,
/// validation, month, zero (int32 each), time (float64), inputs and targets (float32), XXH3 of all before it (uint64).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/sample.hpp"

namespace tramontane {

inline constexpr std::int64_t kSampleStoreHead = 64;

/// On one rank. All throw RunError that names the file.
class SampleStore {
 public:
  /// Opens the file for samples of grid C`n`, or makes it. The first `records` are kept; what lies behind them was
  /// written after the snapshot that the run goes back to, and is cut off by the next append.
  SampleStore(std::string path, int n, std::int64_t records);
  ~SampleStore();
  SampleStore(const SampleStore&) = delete;
  SampleStore& operator=(const SampleStore&) = delete;

  /// Writes a sample behind the others; returns the number of its record. After a failure the records so far stay.
  std::int64_t append(const Sample& sample);
  /// Brings all records to the disk.
  void sync();

  /// Reads a record; throws also when its checksum does not match or it is not sample `number`.
  Sample read(std::int64_t record, std::int64_t number) const;

  std::int64_t records() const { return records_; }
  std::int64_t record_bytes() const;

 private:
  std::string path_;
  int n_;
  int file_ = -1;
  std::int64_t records_ = 0;
  std::vector<char> record_;
};

}  // namespace tramontane
