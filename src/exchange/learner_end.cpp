#include "src/exchange/learner_end.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

#include "kernels/errors.hpp"
#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"
#include "src/deck/duration.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

constexpr std::int64_t kVersionsKept = 4;

}  // namespace

FollowedRun read_run(const nlohmann::json& note, const std::string& path) {
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("{}: {}; start the run and its learner with one version of tramontane", path, what));
  };
  if (text_in(note, "format") != kExchangeFormat) fail("it is no note of a run");
  if (number_in(note, "protocol") != kExchangeProtocol)
    fail(fmt::format("the run speaks protocol {} of the exchange, this program {}", number_in(note, "protocol"),
                     kExchangeProtocol));
  FollowedRun run;
  RunAnnouncement& said = run.announcement;
  said.run_id = text_in(note, "run_id");
  said.archive = text_in(note, "archive");
  said.output_dir = text_in(note, "output_dir");
  said.n = static_cast<int>(number_in(note, "n"));
  said.coarse_n = static_cast<int>(number_in(note, "coarse_n"));
  said.interval_seconds = note.value("interval_seconds", 0.0);
  said.training = number_in(note, "training");
  said.validation = number_in(note, "validation");
  said.takes_snapshots = note.value("takes_snapshots", false);
  run.version = text_in(note, "version");
  run.token = token_from(text_in(note, "run"));
  run.identity = ProcessIdentity::from_json(note.value("identity", nlohmann::json::object()));
  if (said.archive.empty() || said.coarse_n < 1 || !(said.interval_seconds > 0) || said.training < 1 || run.token == 0)
    fail("it lacks something");
  return run;
}

LearnerEnd::LearnerEnd(const Deck& deck)
    : deck_(deck),
      folder_(deck),
      token_(new_token()),
      claim_(folder_.terms("learner", token_,
                           "two learners would take turns in overwriting each other's weights: wait for it to end, or "
                           "train on the finished archive with learner.archives and exchange.dir=none")),
      next_version_(folder_.last_version() + 1) {
  if (!claim_.predecessor().empty())
    spdlog::info("taking the place of a learner that gives no sign of life ({})", claim_.predecessor());
  nlohmann::ordered_json note = note_head("learner", token_);
  note.update({{"for", ""}, {"state", "waiting"}, {"step", 0}, {"version", 0}});
  beacon_ = std::make_unique<Beacon>(folder_.note("learner"), token_text(token_), beat_period(deck.exchange.silence), note,
                                     [this] { look(); }, [this] { return claim_.is_held(); });
}

LearnerEnd::~LearnerEnd() {
  if (!ended_) beacon_->update({{"state", "failed"}});
  beacon_->stop();
  claim_.release();
}

std::optional<nlohmann::json> LearnerEnd::attach() {
  using namespace std::chrono_literals;
  const WaitScope wait("a run to begin in " + folder_.path().string(), MPI_COMM_NULL, WaitScope::kAll,
                       WaitScope::kOutside);
  const auto start = std::chrono::steady_clock::now();
  BeatWatch watch;
  bool told = false;
  for (;; std::this_thread::sleep_for(50ms)) {
    const auto note = read_note(folder_.note("solver"));
    watch.see(note);
    // An old note is no run: it must show a heartbeat, or say that all went well, in which case its archive is whole.
    if (note && (watch.has_changed() || text_in(*note, "state") == "done")) {
      const FollowedRun run = read_run(*note, folder_.note("solver").string());
      {
        const std::lock_guard lock(mutex_);
        watch_ = std::make_unique<RunWatch>(folder_.note("solver"), run.token, run.announcement.takes_snapshots,
                                            deck_.exchange.silence);
      }
      beacon_->update({{"for", token_text(run.token)}});
      return note;
    }
    const double waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!told && waited > 2) {
      told = true;
      spdlog::info("waiting for a run to begin in {}", folder_.path().string());
    }
    if (stop_requested()) {
      end("stopped", 0, 0);
      return std::nullopt;
    }
    if (waited > deck_.exchange.wait)
      throw InputError(fmt::format("{}exchange.dir = {}: no run has begun there within {}{}: start tramontane run with the "
                                   "same exchange.dir, or raise exchange.wait",
                                   deck_.where("exchange.dir"), folder_.path().string(),
                                   duration_text(deck_.exchange.wait),
                                   note ? fmt::format(" (one of {} has ended early or died)", watch.identity().text())
                                        : std::string()));
  }
}

void LearnerEnd::look() {
  const std::lock_guard lock(mutex_);
  if (!watch_) return;
  const RunSight sight = watch_->look();
  run_is_over_ = sight == RunSight::dead || sight == RunSight::over || sight == RunSight::replaced;
  const auto& note = watch_->note();
  if (!note || sight == RunSight::replaced) return;
  if (text_in(*note, "token") != job_token_) {
    // A job that went on from a snapshot tells what its gate knows, which may be less than what was told before.
    job_token_ = text_in(*note, "token");
    judged_ = answered_ = 0;
  }
  const auto list = note->find("verdicts");
  if (list == note->end() || !list->is_array()) return;
  for (const auto& entry : *list) {
    const std::int64_t version = number_in(entry, "version");
    if (version <= judged_) continue;
    judged_ = version;
    verdicts_.push_back({version, entry.value("promoted", false), number_in(entry, "current"),
                         entry.value("current_loss", 1.0)});
  }
}

void LearnerEnd::publish(std::vector<std::byte> model) {
  require_claim();
  const std::int64_t version = next_version_++;
  if (fault_at("weights", version) == Fault::corrupt && !model.empty()) model[model.size() / 2] ^= std::byte{1};
  const std::string bytes(reinterpret_cast<const char*>(model.data()), model.size());
  const std::string reason = replace_file(folder_.weights(version), bytes, token_text(token_));
  if (!reason.empty()) {
    spdlog::warn("weights {} can not be written to {} ({}): the run goes on without them", version,
                 folder_.path().string(), reason);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    published_ = version;
  }
  beacon_->update({{"version", version}});
  std::error_code ignored;
  if (version > kVersionsKept) std::filesystem::remove(folder_.weights(version - kVersionsKept), ignored);
}

std::optional<Verdict> LearnerEnd::verdict() {
  const std::lock_guard lock(mutex_);
  while (!verdicts_.empty()) {
    const Verdict verdict = verdicts_.front();
    verdicts_.pop_front();
    if (verdict.version <= answered_) continue;
    answered_ = verdict.version;
    return verdict;
  }
  if (published_ > answered_ && run_is_over_) {
    answered_ = published_;
    return Verdict{published_, false, 0, 1};
  }
  return std::nullopt;
}

void LearnerEnd::beat(std::int64_t step) {
  beacon_->set({{"state", "training"}, {"step", step}});
  if (beacon_->is_over()) require_claim();
}

void LearnerEnd::hold(std::int64_t step) {
  beacon_->set({{"state", "waiting for the run"}, {"step", step}});
  if (beacon_->is_over()) require_claim();
}

void LearnerEnd::require_claim() const {
  if (claim_.is_held()) return;
  throw RunError(fmt::format("another learner has taken this one's place in {}: it had been silent for longer than "
                             "exchange.silence; its checkpoints are in {}/training-checkpoints",
                             folder_.path().string(), deck_.output.dir));
}

void LearnerEnd::end(const std::string& state, std::int64_t taken, std::int64_t rejected) {
  ended_ = true;
  beacon_->update({{"state", state}, {"taken", taken}, {"rejected", rejected}});
}

}  // namespace tramontane
