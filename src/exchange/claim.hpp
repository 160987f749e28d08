/// Who holds a role in an exchange folder: one solver job, one learner job.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "src/exchange/process_identity.hpp"

namespace tramontane {

/// A file that appears whole or not at all (a hard link), with its owner's token in it. Whoever holds a claim keeps a note
/// (Beacon) with the same token; when its heart no longer beats, the claim may be taken over.
class Claim {
 public:
  /// What a claim needs to know.
  struct Terms {
    std::filesystem::path claim, note;  ///< the file, and the note of whoever holds it
    std::uint64_t token = 0;            ///< of this job
    double silence_seconds = 60;        ///< after which the holder counts as dead
    /// Text of the error when another one lives; gets who it is.
    std::function<std::string(const std::string& holder)> refusal;
  };

  /// Takes the claim, or watches its holder: for as long as it takes to see a heartbeat, at most the time of silence. Throws
  /// InputError when the holder lives, RunError when the folder can not be written to.
  explicit Claim(Terms terms);
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() { release(); }

  /// Whether the file still has this job's token. A job that hung for too long may have lost it.
  bool is_held() const;
  /// Whether another job's token stands there. A file that can not be read now tells nothing.
  bool is_taken() const;
  /// Removes the file if it is still this job's.
  void release();
  /// Who held it before and was taken for dead; empty when the claim was free.
  const std::string& predecessor() const { return predecessor_; }

 private:
  bool place();
  void take_over(const std::string& token_of_the_dead);

  Terms terms_;
  std::string token_, predecessor_;
  bool released_ = false;
};

}  // namespace tramontane
