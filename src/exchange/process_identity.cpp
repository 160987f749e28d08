#include "src/exchange/process_identity.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

namespace tramontane {

namespace {

std::string read_all(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Field 22 of /proc/<n>/stat; the name in field 2 may hold blanks and brackets. -1 when there is no such process.
std::int64_t start_time(std::int64_t process) {
  const std::string text = read_all(fmt::format("/proc/{}/stat", process));
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return -1;
  std::istringstream rest(text.substr(name_end + 1));
  std::string word;
  for (int field = 3; field <= 22; ++field) rest >> word;
  try {
    return std::stoll(word);
  } catch (const std::exception&) {
    return -1;
  }
}

std::string system_here() {
  std::string boot = read_all("/proc/sys/kernel/random/boot_id");
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  std::error_code ignored;
  const std::string space = std::filesystem::read_symlink("/proc/self/ns/pid", ignored).string();
  // Without either nothing is known, and nothing must be concluded.
  return boot.empty() || space.empty() ? "" : boot + " " + space;
}

template <class T>
T member(const nlohmann::json& json, const char* name) {
  try {
    return json.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

}  // namespace

ProcessIdentity ProcessIdentity::own() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return {name.data(), system_here(), getpid(), start_time(getpid())};
}

bool ProcessIdentity::is_surely_dead() const {
  if (process <= 0 || system.empty() || system != system_here()) return false;
  if (kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH) return true;
  const std::int64_t now = start_time(process);
  // The number has gone to another process. (A dead one that nobody has waited for keeps its number and start time.)
  if (now >= 0 && started > 0 && now != started) return true;
  const std::string text = read_all(fmt::format("/proc/{}/stat", process));
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && name_end + 2 < text.size() && text[name_end + 2] == 'Z';
}

std::string ProcessIdentity::text() const {
  return fmt::format("process {} on {}", process, host.empty() ? "an unknown host" : host);
}

nlohmann::ordered_json ProcessIdentity::to_json() const {
  return {{"host", host}, {"system", system}, {"process", process}, {"started", started}};
}

ProcessIdentity ProcessIdentity::from_json(const nlohmann::json& json) {
  return {member<std::string>(json, "host"), member<std::string>(json, "system"), member<std::int64_t>(json, "process"),
          member<std::int64_t>(json, "started")};
}

std::uint64_t new_token() {
  std::random_device random;
  return (static_cast<std::uint64_t>(random()) << 32) | random();
}

std::string token_text(std::uint64_t token) {
  return fmt::format("{:016x}", token);
}

std::uint64_t token_from(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 16);
}

}  // namespace tramontane
