/// A snapshot of a coupled run: what its manifest says.
///
/// A folder snapshot-<number> with one file a part and the manifest, which is written last and names all parts with
/// length and checksum: JSON behind a seal (file_seal.hpp). Without a whole manifest there is no snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "src/stream/ledger.hpp"

namespace tramontane {

/// Raised when the meaning of anything in a snapshot changes. Counted from 201, apart from checkpoints' formats.
inline constexpr int kSnapshotFormat = 201;

/// Names of the parts in a snapshot's folder.
inline constexpr const char* kManifestPart = "manifest";
inline constexpr const char* kStatePart = "state.h5";        ///< fine solver (checkpoint.hpp)
inline constexpr const char* kArchivePart = "archive-structure";  ///< all of the archive but the samples' values
                                                                  ///< (archive_structure.hpp); while it is written
inline constexpr const char* kTrainingPart = "training.h5";  ///< weights, optimiser (training_checkpoint.hpp); not before
                                                             ///< the first step
std::string learner_part(int learner);    ///< a learner's samples, JSON behind a seal
std::string learner_samples(int learner);  ///< beside the snapshots' folders: SampleStore

/// Where the lessons stand.
struct LessonPlace {
  std::int64_t number = 0;   ///< samples made so far: the number of the next one
  std::int32_t lesson = 0;   ///< that the next sample is of; the number of lessons when there is none
  std::int32_t sample = 0;   ///< of that lesson
  bool operator==(const LessonPlace&) const = default;
};

/// One time that a run was continued.
struct RunRestart {
  std::int64_t snapshot = 0, sample = 0, step = 0;
  bool operator==(const RunRestart&) const = default;
};

/// What a run whose learner is a job of its own must know of their exchange.
struct ExchangePast {
  std::string run;           ///< token of the run: its jobs share it
  std::int64_t samples = 0;  ///< in the archive, readable
  std::int64_t learners = 0, refused = 0;  ///< that have come; weights files that were damaged
  std::string learner;       ///< token of the last one that came
  bool operator==(const ExchangePast&) const = default;
};

inline constexpr std::int64_t kNoArchive = -1, kArchiveFailed = -2;

struct RunSnapshot {
  std::int64_t number = 0;  ///< of the snapshot, counted over the whole run
  std::string version;      ///< of the program
  std::string run_id;
  std::string settings;  ///< lines "key = value" of the deck that decide the result
  int solvers = 0, learners = 0;
  LessonPlace place;
  bool lessons_done = false;  ///< the stream is closed
  std::int64_t training_step = 0;
  Ledger ledger;              ///< of the whole run so far; nothing is in flight
  std::int64_t archived = kNoArchive;  ///< samples in the archive
  double stall_seconds = 0;
  std::string metrics;  ///< lines of the solver's reports
  std::optional<ExchangePast> exchange;  ///< of a run with exchange.dir, which has no learner ranks
  std::vector<RunRestart> restarts;
  struct Mark {
    std::uint64_t bytes = 0, checksum = 0;
    bool operator==(const Mark&) const = default;
  };
  std::map<std::string, Mark> parts;
};

nlohmann::ordered_json to_json(const Ledger& ledger);
/// Throws std::exception when a count is missing.
Ledger ledger_from(const nlohmann::ordered_json& counts);

std::string to_text(const RunSnapshot& snapshot);
/// Throws std::exception when something is missing.
RunSnapshot snapshot_from(const std::string& text);

/// Throws InputError, in one sentence that begins with the snapshot's path, when a run with other settings or another
/// number of learners would continue it.
void check_fits(const RunSnapshot& snapshot, const std::string& settings, int learners, const std::string& path);

}  // namespace tramontane
