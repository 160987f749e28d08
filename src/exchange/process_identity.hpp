/// Who a process is, as another job can tell it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace tramontane {

struct ProcessIdentity {
  std::string host;        ///< name, for people
  std::string system;      ///< of this boot and process namespace: equal where process numbers mean the same
  std::int64_t process = 0, started = 0;  ///< number; start time as the kernel counts it

  static ProcessIdentity own();
  /// Whether the process is known to be gone. False when that can not be told from here: heartbeats must tell then.
  bool is_surely_dead() const;
  /// "process 123 on node1"
  std::string text() const;

  nlohmann::ordered_json to_json() const;
  /// Members that are missing or of another type stay empty.
  static ProcessIdentity from_json(const nlohmann::json& json);
};

/// A random number that tells one job from all others.
std::uint64_t new_token();
std::string token_text(std::uint64_t token);
/// Out of such a text; 0 when there is none in it.
std::uint64_t token_from(const std::string& text);

}  // namespace tramontane
