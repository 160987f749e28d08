/// What is saved when the watchdog ends the job.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tramontane {

/// Registers `save` for its lifetime: called once, from another thread, while the main thread hangs somewhere. It must
/// take no lock that the main thread may hold for long, call neither MPI nor HDF5 (the main thread may be inside them),
/// and return what it saved in words, or nothing. What it throws is reported.
class EmergencySave {
 public:
  explicit EmergencySave(std::function<std::string()> save);
  ~EmergencySave();
  EmergencySave(const EmergencySave&) = delete;
  EmergencySave& operator=(const EmergencySave&) = delete;

 private:
  int number_;
};

/// Bytes that are to be on disk should the job be ended: the file is written then, and only then.
class EmergencyFile {
 public:
  explicit EmergencyFile(std::string path);
  /// The content from now on; null: nothing to save. `what` names it in the report, as in "the weights of step 400".
  void keep(std::shared_ptr<const std::vector<std::byte>> content, std::string what);

 private:
  struct State;
  std::shared_ptr<State> state_;
  EmergencySave save_;
};

/// Runs all that is registered, the oldest first; returns what each said.
std::vector<std::string> save_in_emergency();

}  // namespace tramontane
