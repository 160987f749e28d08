/// How a learner sees the run that it follows.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "src/exchange/notes.hpp"

namespace tramontane {

/// What a look at the run's note tells.
enum class RunSight {
  lives,
  away,      ///< it has been stopped or has died, and takes snapshots: it may go on
  dead,      ///< it has died, and takes none
  over,      ///< it has ended
  replaced,  ///< another run has taken the folder
};

/// Of one run, whose jobs share a token and come one after the other. On one thread.
class RunWatch {
 public:
  /// @param takes_snapshots whether the run can go on when its job has ended
  RunWatch(std::filesystem::path note, std::uint64_t run, bool takes_snapshots, double silence_seconds)
      : path_(std::move(note)), run_(token_text(run)), takes_snapshots_(takes_snapshots), silence_seconds_(silence_seconds) {}

  RunSight look();
  /// The note as it was when last looked at.
  const std::optional<nlohmann::json>& note() const { return note_; }
  /// Why the run was away when last looked at: "process 7 on node1 has been stopped".
  std::string why_away() const;

 private:
  std::filesystem::path path_;
  std::string run_;
  bool takes_snapshots_;
  double silence_seconds_;
  BeatWatch watch_;
  std::optional<nlohmann::json> note_;
};

}  // namespace tramontane
