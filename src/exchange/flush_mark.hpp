/// A few bytes beside an archive that is being written, which tell readers what they may read and when.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/archive/archive_writer.hpp"

namespace tramontane {

/// State of an archive's file as its writer last told.
struct FlushState {
  std::uint64_t run = 0;         ///< token of the solver job
  std::uint64_t generation = 0;  ///< grows with every change; odd while the file's structure changes
  std::int64_t samples = 0;      ///< whole ones that the structure speaks of
  ArchiveChange last = ArchiveChange::begins;

  bool is_changing() const { return generation % 2 != 0; }
  /// Whether no more samples will come.
  bool is_over() const {
    return last == ArchiveChange::completed || last == ArchiveChange::ended || last == ArchiveChange::spoiled;
  }
};

/// The writer's end, on one rank. Errors of the file system are remembered, never thrown: the run goes on without readers.
class FlushMarkWriter {
 public:
  /// Replaces the file at `path`, and says that the structure changes. Where an earlier job of the same run has left its
  /// mark there, the generations go on from that: its readers may still look.
  /// @param samples that the archive of a run that goes on keeps
  FlushMarkWriter(const std::string& path, std::uint64_t run, std::int64_t samples = 0);
  FlushMarkWriter(const FlushMarkWriter&) = delete;
  FlushMarkWriter& operator=(const FlushMarkWriter&) = delete;
  ~FlushMarkWriter();

  void tell(ArchiveChange change, std::int64_t samples);
  const FlushState& state() const { return state_; }
  /// Why the mark could not be written; empty when it could.
  const std::string& failure() const { return failure_; }

 private:
  FlushState state_;
  int file_ = -1;
  std::string failure_;
};

/// A reader's end.
class FlushMarkReader {
 public:
  explicit FlushMarkReader(std::string path) : path_(std::move(path)) {}
  FlushMarkReader(const FlushMarkReader&) = delete;
  FlushMarkReader& operator=(const FlushMarkReader&) = delete;
  ~FlushMarkReader();

  /// Nothing when there is no mark, or it could not be read whole. Costs one small read.
  std::optional<FlushState> read();

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace tramontane
