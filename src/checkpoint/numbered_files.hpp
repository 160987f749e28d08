/// Checkpoint files of a folder, numbered by the steps taken: <prefix>-<steps>.h5.
#pragma once

#include <string>
#include <vector>

#include "src/deck/deck.hpp"

namespace tramontane {

/// All calls work on the file system: make them on one rank.
class NumberedFiles {
 public:
  /// @param prefix of the names, "checkpoint" for instance
  explicit NumberedFiles(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string path(const std::string& folder, long steps) const;
  /// Steps that a file's name tells; -1 when it is no such file's.
  long steps_of(const std::string& path) const;
  /// Paths, most steps first.
  std::vector<std::string> list(const std::string& folder) const;

  /// Makes the folder. Unless `continues`, files that an earlier `what` (run, training) left there are moved to the
  /// folder <folder>-earlier. Throws InputError when that can not be done.
  void open(const Deck& deck, const std::string& folder, bool continues, const std::string& what) const;
  /// Keeps the newest `keep` files with no more than `steps` steps. Those with more are of a course that was given up
  /// when the run went back to an older checkpoint.
  void remove_old(const std::string& folder, long steps, int keep) const;

 private:
  std::string prefix_;
};

}  // namespace tramontane
