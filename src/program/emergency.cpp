#include "src/program/emergency.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>

namespace tramontane {
namespace {

std::mutex registered_mutex;
std::map<int, std::function<std::string()>> registered;
int last_number = 0;

/// Written aside, synced and renamed: whole or not there.
void write_whole(const std::string& path, const std::vector<std::byte>& content) {
  const std::string aside = path + ".part";
  const int file = open(aside.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  std::size_t written = 0;
  while (file >= 0 && written < content.size()) {
    const ssize_t size = write(file, content.data() + written, content.size() - written);
    if (size < 0) break;
    written += static_cast<std::size_t>(size);
  }
  const bool good = file >= 0 && written == content.size() && fsync(file) == 0;
  const int error = errno;
  if (file >= 0) close(file);
  if (!good || std::rename(aside.c_str(), path.c_str()) != 0) {
    std::remove(aside.c_str());
    throw std::runtime_error(fmt::format("{} could not be written ({})", path, std::strerror(good ? errno : error)));
  }
}

}  // namespace

EmergencySave::EmergencySave(std::function<std::string()> save) {
  const std::lock_guard lock(registered_mutex);
  number_ = ++last_number;
  registered[number_] = std::move(save);
}

EmergencySave::~EmergencySave() {
  const std::lock_guard lock(registered_mutex);
  registered.erase(number_);
}

struct EmergencyFile::State {
  std::mutex mutex;
  std::string path, what;
  std::shared_ptr<const std::vector<std::byte>> content;
};

EmergencyFile::EmergencyFile(std::string path)
    : state_(std::make_shared<State>()), save_([state = state_]() -> std::string {
        std::string what;
        std::shared_ptr<const std::vector<std::byte>> content;
        {
          const std::lock_guard lock(state->mutex);
          content = state->content;
          what = state->what;
        }
        if (!content) return "";
        write_whole(state->path, *content);
        return fmt::format("{} in {}", what, state->path);
      }) {
  state_->path = std::move(path);
}

void EmergencyFile::keep(std::shared_ptr<const std::vector<std::byte>> content, std::string what) {
  const std::lock_guard lock(state_->mutex);
  state_->content = std::move(content);
  state_->what = std::move(what);
}

std::vector<std::string> save_in_emergency() {
  std::map<int, std::function<std::string()>> all;
  {
    const std::lock_guard lock(registered_mutex);
    all = registered;
  }
  std::vector<std::string> said;
  for (const auto& [number, save] : all) {
    try {
      if (std::string text = save(); !text.empty()) said.push_back(std::move(text));
    } catch (const std::exception& error) {
      said.push_back(fmt::format("not saved: {}", error.what()));
    }
  }
  return said;
}

}  // namespace tramontane
