/// Notes that two jobs leave for each other: small JSON files, replaced as a whole, that say with a growing number that
/// their writer lives.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "src/exchange/process_identity.hpp"

namespace tramontane {

/// Writes text or bytes beside the path and renames, so that nobody sees half of it. `owner` keeps the side files of two
/// writers apart. Returns why it failed, or nothing.
std::string replace_file(const std::filesystem::path& path, const std::string& bytes, const std::string& owner);

/// The note at the path; nothing when there is none or it is no JSON object (a file system may show half of one).
std::optional<nlohmann::json> read_note(const std::filesystem::path& path);
/// Members of a note; empty or 0 when they are missing or of another type.
std::string text_in(const nlohmann::json& note, const char* name);
std::int64_t number_in(const nlohmann::json& note, const char* name);

/// Watches the heartbeat of another job by one's own clock: clocks of two machines need not agree.
class BeatWatch {
 public:
  /// Takes a note in. A note without a beat, or none, counts as silence.
  void see(const std::optional<nlohmann::json>& note);
  /// Seconds since the beat last changed, or since the watch began.
  double silent_seconds() const;
  /// Whether its writer has been silent for so long, or is known to be gone.
  bool is_dead(double silence_seconds) const { return is_gone_ || silent_seconds() > silence_seconds; }
  /// Whether a beat has been seen to change.
  bool has_changed() const { return changes_ > 0; }
  const ProcessIdentity& identity() const { return identity_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point since_ = Clock::now();
  std::string token_;
  std::int64_t beat_ = -1;
  int changes_ = 0;
  bool is_gone_ = false;
  ProcessIdentity identity_;
};

/// Keeps a note alive: a thread writes it again every `period_seconds`, whatever the program does meanwhile. Errors of the
/// file system are remembered and never thrown.
class Beacon {
 public:
  /// @param tick called by the thread after each writing; must not throw and not use MPI or HDF5
  /// @param may_write asked by the thread before; false ends the note's life
  Beacon(std::filesystem::path path, std::string owner, double period_seconds, nlohmann::ordered_json content,
         std::function<void()> tick = {}, std::function<bool()> may_write = {});
  Beacon(const Beacon&) = delete;
  Beacon& operator=(const Beacon&) = delete;
  ~Beacon();

  /// Changes members of the note; they are on the disk when the call returns.
  void update(const nlohmann::ordered_json& members);
  /// Changes members; they go with the next heartbeat.
  void set(const nlohmann::ordered_json& members);
  /// Ends the thread. The note stays as it is.
  void stop();
  /// Whether may_write has said no.
  bool is_over() const;
  std::string failure() const;

 private:
  void write();
  void run();

  std::filesystem::path path_;
  std::string owner_;
  std::chrono::duration<double> period_;
  std::function<void()> tick_;
  std::function<bool()> may_write_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false, over_ = false;
  std::int64_t beat_ = 0;
  nlohmann::ordered_json content_;
  std::string failure_;
  std::thread thread_;
};

/// Between heartbeats: ten in the time after which silence counts as death, one a second at most.
inline double beat_period(double silence_seconds) {
  return std::min(1.0, silence_seconds / 10);
}

}  // namespace tramontane
