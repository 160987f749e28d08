#include "src/exchange/claim.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"
#include "src/exchange/notes.hpp"

namespace tramontane {

namespace {

std::string token_in(const std::optional<nlohmann::json>& note) {
  if (!note) return "";
  const auto token = note->find("token");
  return token != note->end() && token->is_string() ? token->get<std::string>() : "";
}

/// Whether the holder shows a heartbeat within the time of silence.
bool lives(const std::filesystem::path& claim, const std::filesystem::path& note, const std::string& token,
           double silence_seconds) {
  using namespace std::chrono_literals;
  const WaitScope wait("a sign of life of who holds " + claim.string(), MPI_COMM_NULL, WaitScope::kAll,
                       WaitScope::kOutside);
  BeatWatch watch;
  const ProcessIdentity holder =
      ProcessIdentity::from_json(read_note(claim).value_or(nlohmann::json::object()).value("identity", nlohmann::json()));
  while (!holder.is_surely_dead() && watch.silent_seconds() <= silence_seconds) {
    const auto seen = read_note(note);
    if (token_in(seen) == token) watch.see(seen);
    if (watch.has_changed()) return true;
    if (token_in(read_note(claim)) != token) return false;  // released, or another has taken it: look again
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

}  // namespace

Claim::Claim(Terms terms) : terms_(std::move(terms)), token_(token_text(terms_.token)) {
  while (!place()) {
    const auto found = read_note(terms_.claim);
    const std::string token = token_in(found);
    if (lives(terms_.claim, terms_.note, token, terms_.silence_seconds)) {
      const ProcessIdentity holder = ProcessIdentity::from_json(found->value("identity", nlohmann::json::object()));
      throw InputError(terms_.refusal(fmt::format("{}, since {}", holder.text(), found->value("since", "some time"))));
    }
    // Only the dead are taken over from; a claim that has changed hands meanwhile is looked at again.
    if (token_in(read_note(terms_.claim)) == token) {
      if (found)
        predecessor_ = ProcessIdentity::from_json(found->value("identity", nlohmann::json::object())).text();
      take_over(token);
    }
  }
}

bool Claim::place() {
  const nlohmann::ordered_json content = {
      {"token", token_},
      {"identity", ProcessIdentity::own().to_json()},
      {"since", fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::time(nullptr)))}};
  const std::filesystem::path aside = terms_.claim.string() + "." + token_;
  std::string reason = replace_file(aside, content.dump(1) + "\n", token_);
  if (!reason.empty()) throw RunError(fmt::format("cannot write {} ({})", aside.string(), reason));
  // A link is made or not made in one step also on network file systems.
  int result = link(aside.c_str(), terms_.claim.c_str());
  int error = result == 0 ? 0 : errno;
  if (result != 0 && error != EEXIST) {
    // No hard links here: then a name that nobody has yet, which on most such file systems is one step, too.
    const int file = open(terms_.claim.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    error = file < 0 ? errno : 0;
    if (file >= 0) {
      close(file);
      reason = replace_file(terms_.claim, content.dump(1) + "\n", token_);
    }
  }
  unlink(aside.c_str());
  if (error == EEXIST) return false;
  if (error != 0 || !reason.empty())
    throw RunError(fmt::format("cannot write {} ({})", terms_.claim.string(),
                               reason.empty() ? std::strerror(error) : reason));
  return true;
}

void Claim::take_over(const std::string& token_of_the_dead) {
  // Moved away under a name of our own, then looked at: between looking and moving another may have been quicker, and
  // then this is its claim and goes back.
  const std::filesystem::path moved = terms_.claim.string() + ".dead-" + token_;
  if (rename(terms_.claim.c_str(), moved.c_str()) != 0) return;
  if (token_in(read_note(moved)) != token_of_the_dead) (void)!link(moved.c_str(), terms_.claim.c_str());
  unlink(moved.c_str());
}

bool Claim::is_held() const {
  return token_in(read_note(terms_.claim)) == token_;
}

bool Claim::is_taken() const {
  const std::string token = token_in(read_note(terms_.claim));
  return !token.empty() && token != token_;
}

void Claim::release() {
  if (released_) return;
  released_ = true;
  if (is_held()) unlink(terms_.claim.c_str());
}

}  // namespace tramontane
