#include "src/exchange/solver_end.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "kernels/errors.hpp"
#include "kernels/fault_injection.hpp"

namespace tramontane {

namespace {

constexpr std::size_t kVerdictsKept = 16;
constexpr int kAttempts = 3;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string to_string(const ExchangeLedger& ledger) {
  return fmt::format("produced {} = taken {} + left in the archive {} + rejected {} + lost {}", ledger.produced,
                     ledger.taken, ledger.left, ledger.rejected, ledger.lost);
}

SolverEnd::SolverEnd(const Deck& deck, const RunAnnouncement& run, const ExchangePast* past)
    : deck_(deck),
      folder_(deck),
      token_(new_token()),
      claim_(folder_.terms("solver", token_, "two runs would write one archive: choose another folder, or wait for it")),
      run_(run_token(run, past)),
      goes_on_(run_ != token_),
      mark_(folder_.mark().string(), run_, past ? past->samples : 0) {
  if (!claim_.predecessor().empty())
    spdlog::warn("{} held {} and gives no sign of life: this run takes its place", claim_.predecessor(),
                 folder_.path().string());
  if (past) {
    learners_seen_ = past->learners;
    refused_ = past->refused;
    last_learner_ = past->learner;
  }
  nlohmann::ordered_json note = note_head("solver", token_);
  note.update({{"run", token_text(run_)},
               {"takes_snapshots", run.takes_snapshots},
               {"run_id", run.run_id},
               {"archive", run.archive},
               {"output_dir", run.output_dir},
               {"n", run.n},
               {"coarse_n", run.coarse_n},
               {"interval_seconds", run.interval_seconds},
               {"training", run.training},
               {"validation", run.validation},
               {"state", "running"},
               {"verdicts", verdicts_}});
  // What a learner has left since is known before anybody asks.
  if (goes_on_) look();
  beacon_ = std::make_unique<Beacon>(folder_.note("solver"), token_text(token_), beat_period(deck.exchange.silence), note,
                                     [this] { look(); }, [this] { return !claim_.is_taken(); });
  spdlog::info("this run meets its learner in {}: start tramontane train with the same exchange.dir",
               folder_.path().string());
}

SolverEnd::~SolverEnd() {
  finish("failed");
}

std::uint64_t SolverEnd::run_token(const RunAnnouncement& run, const ExchangePast* past) const {
  if (past) return token_from(past->run);
  if (!run.takes_snapshots || deck_.checkpoint.resume == "none") return token_;
  const nlohmann::json before = read_note(folder_.note("solver")).value_or(nlohmann::json::object());
  const bool is_same = number_in(before, "protocol") == kExchangeProtocol && text_in(before, "run_id") == run.run_id &&
                       text_in(before, "version") == TRAMONTANE_VERSION && before.value("takes_snapshots", false) &&
                       text_in(before, "state") != "done";
  const std::uint64_t token = is_same ? token_from(text_in(before, "run")) : 0;
  return token != 0 ? token : token_;
}

ExchangePast SolverEnd::past() const {
  const std::lock_guard lock(mutex_);
  return {token_text(run_), mark_.state().samples, learners_seen_, refused_, last_learner_};
}

void SolverEnd::archive_is_over(ArchiveChange last) {
  mark_.tell(last, mark_.state().samples);
}

void SolverEnd::archive_changed(ArchiveChange change, std::int64_t samples) {
  if (change == ArchiveChange::begins && claim_.is_taken()) leave_to_another();
  if (is_paused_ && change == ArchiveChange::ended) change = ArchiveChange::flushed;
  mark_.tell(change, samples);
  if (change == ArchiveChange::begins) fault_at("archive-flush", samples);
}

void SolverEnd::look() {
  const auto note = read_note(folder_.note("learner"));
  if (!note || text_in(*note, "for") != token_text(run_)) return;  // none, or one of another run
  watch_.see(note);
  const std::string state = text_in(*note, "state");
  // The note of one that followed an earlier job of this run, and may be no more.
  const bool has_come = !goes_on_ || watch_.has_changed() || state == "done";
  const std::int64_t version = number_in(*note, "version");
  const std::string token = text_in(*note, "token");
  {
    const std::lock_guard lock(mutex_);
    if (has_come) {
      if (last_learner_ != token) ++learners_seen_;
      if (learner_.token != token) learner_ = {};
      last_learner_ = token;
      learner_.token = token;
      learner_.state = state;
      learner_.is_dead = watch_.is_dead(deck_.exchange.silence);
      learner_.step = number_in(*note, "step");
      learner_.version = version;
      learner_.has_counts = note->contains("taken");
      learner_.taken = number_in(*note, "taken");
      learner_.rejected = number_in(*note, "rejected");
      learner_.who = watch_.identity().text();
    }
    if (version <= fetched_ && fetched_from_ == token) return;
  }
  if (version > 0) fetch(version, token);
}

void SolverEnd::fetch(std::int64_t version, const std::string& token) {
  std::ifstream in(folder_.weights(version), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const std::lock_guard lock(mutex_);
  if (mail_) superseded_.push_back(fetched_);
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  mail_.emplace(first, first + bytes.size());
  fetched_ = version;
  fetched_from_ = token;
}

/// At once: any regular end would let HDF5 write what it holds of an archive that is another's now.
void SolverEnd::leave_to_another() const {
  std::fprintf(stderr, "tramontane: error: another job has taken this run's place in %s: it had been silent for longer than "
               "exchange.silence\n", folder_.path().c_str());
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, kExitRunFailed);
}

std::optional<std::vector<std::byte>> SolverEnd::poll() {
  if (beacon_->is_over()) leave_to_another();
  std::optional<std::vector<std::byte>> bytes;
  std::vector<std::int64_t> superseded;
  std::int64_t version = 0;
  {
    const std::lock_guard lock(mutex_);
    bytes.swap(mail_);
    superseded.swap(superseded_);
    version = fetched_;
  }
  for (const std::int64_t old : superseded) answer({old, false, current_.current, current_.current_loss});
  if (!bytes) return std::nullopt;
  try {
    (void)Model::from_bytes(*bytes, folder_.weights(version).string());
    attempts_ = 0;
    return bytes;
  } catch (const InputError& error) {
    // Some file systems show a file's new name before all of its bytes.
    if (++attempts_ < kAttempts) {
      const std::lock_guard lock(mutex_);
      if (!mail_) fetched_ = 0;
      return std::nullopt;
    }
    attempts_ = 0;
    ++refused_;
    spdlog::warn("weights {} of the learner are refused: {}", version, error.what());
    answer({version, false, current_.current, current_.current_loss});
    return std::nullopt;
  }
}

void SolverEnd::answer(const Verdict& verdict) {
  current_ = verdict;
  verdicts_.push_back({{"version", verdict.version},
                       {"promoted", verdict.is_promoted},
                       {"current", verdict.current},
                       {"current_loss", verdict.current_loss}});
  if (verdicts_.size() > kVerdictsKept) verdicts_.erase(verdicts_.begin());
  beacon_->update({{"verdicts", verdicts_}});
}

void SolverEnd::take_up(const Verdict& last) {
  current_ = last;
  if (last.version > 0) answer(last);
}

LearnerState SolverEnd::learner() {
  Learner seen;
  bool has_mail = false;
  {
    const std::lock_guard lock(mutex_);
    seen = learner_;
    has_mail = mail_.has_value() || (learner_.version > fetched_ && !learner_.token.empty());
  }
  LearnerState state;
  state.step = seen.step;
  const bool is_waiting = waiting_since_.has_value();
  const double waited = is_waiting ? now_seconds() - *waiting_since_ : 0;
  if (seen.token.empty()) {
    state.is_lost = is_waiting && waited > std::min(deck_.exchange.wait, deck_.exchange.final_wait);
    state.why = fmt::format("no learner has come to {}", folder_.path().string());
    return state;
  }
  if (seen.state == "done") {
    state.is_done = !has_mail;
  } else if (!has_mail && (seen.state == "stopped" || seen.state == "failed")) {
    state.is_lost = true;
    state.why = fmt::format("the learner ({}) has {} after step {}", seen.who,
                            seen.state == "stopped" ? "been stopped" : "failed", seen.step);
  } else if (!has_mail && seen.is_dead) {
    state.is_lost = true;
    state.why = fmt::format("the learner ({}) has died or hangs: it was last heard at step {}", seen.who, seen.step);
  } else if (is_waiting && waited > deck_.exchange.final_wait) {
    state.is_lost = true;
    state.why = fmt::format("the learner ({}) is at step {} and has not ended within exchange.final_wait", seen.who,
                            seen.step);
  }
  return state;
}

void SolverEnd::expect_signs() {
  if (waiting_since_) return;
  waiting_since_ = now_seconds();
  beacon_->update({{"state", "lessons over"}});
}

void SolverEnd::finish(const std::string& state) {
  if (finished_) return;
  finished_ = true;
  beacon_->update({{"state", state}});
  beacon_->stop();
  claim_.release();
}

ExchangeLedger SolverEnd::ledger(std::int64_t produced) const {
  const std::lock_guard lock(mutex_);
  ExchangeLedger ledger;
  ledger.produced = produced;
  ledger.has_learner = learner_.has_counts;
  ledger.taken = learner_.taken;
  ledger.rejected = learner_.rejected;
  ledger.archived = mark_.state().samples;
  // Samples may have been taken before the run went back to a snapshot, and not be in the archive again (disk full).
  if (goes_on_) ledger.archived = std::max(ledger.archived, std::min(ledger.taken + ledger.rejected, produced));
  ledger.lost = produced - ledger.archived;
  ledger.left = ledger.archived - ledger.taken - ledger.rejected;
  return ledger;
}

std::int64_t SolverEnd::learners_seen() const {
  const std::lock_guard lock(mutex_);
  return learners_seen_;
}

}  // namespace tramontane
