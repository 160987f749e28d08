#include "src/exchange/notes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace tramontane {

std::string replace_file(const std::filesystem::path& path, const std::string& bytes, const std::string& owner) {
  const std::string aside = path.string() + "." + owner + ".part";
  const int file = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return std::strerror(errno);
  std::string reason;
  for (std::size_t done = 0; done < bytes.size() && reason.empty();) {
    const ssize_t count = write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      reason = std::strerror(errno);
    else
      done += static_cast<std::size_t>(count);
  }
  if (close(file) != 0 && reason.empty()) reason = std::strerror(errno);
  if (reason.empty() && rename(aside.c_str(), path.c_str()) != 0) reason = std::strerror(errno);
  if (!reason.empty()) unlink(aside.c_str());
  return reason;
}

std::optional<nlohmann::json> read_note(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  nlohmann::json note = nlohmann::json::parse(text, nullptr, false);
  if (!note.is_object()) return std::nullopt;
  return note;
}

std::string text_in(const nlohmann::json& note, const char* name) {
  const auto found = note.find(name);
  return found != note.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_in(const nlohmann::json& note, const char* name) {
  const auto found = note.find(name);
  return found != note.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

void BeatWatch::see(const std::optional<nlohmann::json>& note) {
  if (!note) return;
  const auto beat = note->find("beat"), token = note->find("token");
  if (beat == note->end() || !beat->is_number_integer() || token == note->end() || !token->is_string()) return;
  const bool is_other = *token != token_;
  if (!is_other && *beat == beat_) {
    is_gone_ = identity_.is_surely_dead();
    return;
  }
  // The first sight of a note says nothing of its writer: it may have lain here for days.
  if (!is_other) ++changes_;
  token_ = *token;
  beat_ = *beat;
  since_ = Clock::now();
  identity_ = ProcessIdentity::from_json(note->value("identity", nlohmann::json::object()));
  is_gone_ = identity_.is_surely_dead();
}

double BeatWatch::silent_seconds() const {
  return std::chrono::duration<double>(Clock::now() - since_).count();
}

Beacon::Beacon(std::filesystem::path path, std::string owner, double period_seconds, nlohmann::ordered_json content,
               std::function<void()> tick, std::function<bool()> may_write)
    : path_(std::move(path)),
      owner_(std::move(owner)),
      period_(period_seconds),
      tick_(std::move(tick)),
      may_write_(std::move(may_write)),
      content_(std::move(content)) {
  {
    const std::lock_guard lock(mutex_);
    write();
  }
  // Signals are the main thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Beacon::~Beacon() {
  stop();
}

void Beacon::update(const nlohmann::ordered_json& members) {
  const std::lock_guard lock(mutex_);
  content_.update(members);
  write();
}

void Beacon::set(const nlohmann::ordered_json& members) {
  const std::lock_guard lock(mutex_);
  content_.update(members);
}

void Beacon::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Beacon::is_over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

std::string Beacon::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Beacon::write() {
  if (!over_ && may_write_ && !may_write_()) over_ = true;
  if (over_) return;
  content_["beat"] = ++beat_;
  std::string text = content_.dump(1) + "\n";
  // Blanks behind it are room to grow into where no new file can be made.
  constexpr std::size_t kBlock = 4096;
  text.resize((text.size() / kBlock + 1) * kBlock, ' ');
  failure_ = replace_file(path_, text, owner_);
  if (failure_.empty()) return;
  // On a full disk the old file's own room is still there. A reader may see half of this, and looks again.
  const int file = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  const off_t size = lseek(file, 0, SEEK_END);
  if (static_cast<std::size_t>(size) >= text.size() &&
      pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    failure_.clear();
  close(file);
}

void Beacon::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period_, [&] { return stop_; })) {
    write();
    if (!tick_) continue;
    lock.unlock();
    tick_();
    lock.lock();
  }
}

}  // namespace tramontane
