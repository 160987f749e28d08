/// The snapshots of one run folder: how one comes to be there whole or not at all, and which are kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/checkpoint/run_snapshot.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// output.dir/snapshots
std::string snapshots_folder(const Deck& deck);

/// Snapshots of a folder, newest (largest number) first. Whether they are whole is another question.
std::vector<std::string> list_snapshots(const std::string& folder);

/// What a look at a snapshot gave.
struct SnapshotCheck {
  RunSnapshot snapshot;
  int format = 0;
  std::string damage;  ///< why it is not whole; empty when it is
};
/// Checks the manifest and every part that it names, each byte of them (not the learners' samples: those check
/// themselves record by record when they are read). When the format is another one, nothing else is looked at.
SnapshotCheck check_snapshot(const std::string& path);

/// The snapshots that checkpoint.resume asks for, newest first: of output.dir (auto), the named one and older ones beside
/// it, or those of the named folder. None for resume = none. Throws InputError when a named one is not there.
std::vector<std::string> wanted_snapshots(const Deck& deck);

/// All calls work on the file system: make them on one rank.
class RunSnapshotStore {
 public:
  explicit RunSnapshotStore(const Deck& deck);

  /// Makes the folder, and removes what an unfinished snapshot left. When the run starts anew, snapshots of an earlier
  /// one are moved to the folder snapshots-earlier. Throws InputError when that can not be done.
  /// @param continued path of the snapshot that the run continues from, empty when it starts anew
  void open(const std::string& continued);

  const std::string& folder() const { return folder_; }
  /// Where the parts of the next snapshot are written.
  std::string aside(std::int64_t number) const { return path(number) + ".part"; }
  std::string path(std::int64_t number) const;
  /// Makes that folder, empty. Throws RunError.
  void begin(std::int64_t number) const;
  /// Marks the parts that are in the folder, writes the manifest, gives the folder its name, and removes snapshots that
  /// are no longer kept or are of a course that was given up. Throws RunError; then nothing is left of it.
  void seal(RunSnapshot snapshot);
  void abandon(std::int64_t number) const;

  /// The last one that was sealed or continued from; empty when there is none.
  const std::string& last() const { return last_; }

 private:
  const Deck& deck_;
  std::string folder_, last_;
};

}  // namespace tramontane
