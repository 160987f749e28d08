#include "src/coupled/gate.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "kernels/communicator.hpp"
#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/mpi_deadline.hpp"
#include "src/coupled/learning.hpp"

namespace tramontane {

namespace {

constexpr double kTellSeconds = 30.0;

/// "" or what of a model is not a number; its weights are looked at when it is read.
std::string not_finite(const Model& model) {
  const Normaliser& n = model.normaliser;
  for (const auto* list : {&n.input_mean, &n.input_std, &n.target_std, &n.bound})
    if (!std::all_of(list->begin(), list->end(), [](double v) { return std::isfinite(v); }))
      return "its normaliser is not finite";
  return "";
}

std::string in_provenance(const std::string& provenance, const nlohmann::ordered_json& gate) {
  nlohmann::ordered_json out = nlohmann::ordered_json::parse(provenance);
  out["gate"] = gate;
  return out.dump();
}

nlohmann::ordered_json optional_number(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

/// What the first rank tells the others.
struct Gate::Word {
  std::int64_t bytes = 0;     ///< of a candidate that follows; 0: none
  std::int64_t lost = 0;      ///< characters of the reason why the learner is lost; 0: it is not
  std::int64_t is_done = 0;   ///< nothing more comes
  std::int64_t takes_samples = 0;  ///< lost: see LearnerState
  std::int64_t is_back = 0;   ///< a learner that was lost has come back
};

Gate::Gate(const Deck& deck, SolverPair& solvers, CandidateSource* source, MetricsWriter* metrics)
    : deck_(deck),
      solvers_(solvers),
      source_(source),
      metrics_(metrics),
      rank_(rank_in(solvers.comm())),
      cases_(deck, solvers) {
  if (deck.gate.live && !deck.learner.deterministic) live_ = std::make_unique<LiveHybrid>(deck, solvers);
  counts_.case_bytes = static_cast<std::int64_t>(cases_.bytes());
  counts_.shadow_hours = cases_.hours();
  if (is_root() && cases_.is_possible())
    spdlog::info("gate: shadow forecasts of {:g} h; their states take {:.1f} MB over all solver ranks", cases_.hours(),
                 static_cast<double>(cases_.bytes()) / 1e6);
}

void Gate::see(const SampleInfo& info, const FieldsOnDemand& truth) {
  sample_ = info.number;
  cases_.see(info, truth);
  if (!live_) return;
  const double began = MPI_Wtime();
  const auto report = live_->see(info, truth, correction(), version());
  counts_.seconds += MPI_Wtime() - began;
  if (!report) return;
  counts_.live_hours += deck_.stream.every / 3600;
  const bool is_due = std::fmod(report->lead_hours * 3600 + 1e-6, deck_.output.every) < deck_.stream.every;
  if (metrics_ && (is_due || !report->bad.empty()))
    metrics_->write("live", {{"sample", info.number},
                             {"version", version()},
                             {"lesson", info.trajectory},
                             {"lead_hours", report->lead_hours},
                             {"error", report->error},
                             {"coarse_error", report->coarse_error},
                             {"ratio", report->bad.empty() || report->error > 0 ? nlohmann::ordered_json(report->ratio())
                                                                                : nlohmann::ordered_json(nullptr)},
                             {"fallback_fraction", report->fallback_fraction},
                             {"bad", report->bad}});
  if (!report->bad.empty()) roll_back("beside the lessons " + report->bad);
}

bool Gate::is_ready() const {
  return lessons_over_ || (!deck_.learner.deterministic && (cases_.size() > 0 || !cases_.is_possible()));
}

/// First rank: the candidate to judge now. Where the order of judgement is free, older ones make room for the newest.
std::optional<std::vector<std::byte>> Gate::next_candidate() {
  if (deck_.learner.deterministic) {
    if (!is_ready()) return {};
    return held_ ? std::exchange(held_, std::nullopt) : source_->poll();
  }
  while (auto newer = source_->poll()) {
    if (held_) ++counts_.superseded;
    held_ = std::move(newer);
  }
  return is_ready() ? std::exchange(held_, std::nullopt) : std::nullopt;
}

Gate::Word Gate::share(Word word) const {
  std::vector<MPI_Request> requests(1);
  MPI_Ibcast(&word, sizeof word, MPI_BYTE, 0, solvers_.comm(), requests.data());
  wait_with_deadline(requests, deck_.stream.deadline, "word from the first solver rank about new weights");
  return word;
}

void Gate::share_bytes(std::vector<std::byte>& bytes, std::int64_t size) const {
  bytes.resize(static_cast<std::size_t>(size));
  std::vector<MPI_Request> requests(1);
  MPI_Ibcast(bytes.data(), static_cast<int>(size), MPI_BYTE, 0, solvers_.comm(), requests.data());
  wait_with_deadline(requests, deck_.stream.deadline, "new weights from the first solver rank");
}

/// One collective word, and what it announces. Returns whether a candidate was taken.
bool Gate::take_one(bool judge_it) {
  std::vector<std::byte> bytes, why;
  Word word;
  if (is_root() && source_) {
    if (auto candidate = next_candidate()) bytes = std::move(*candidate);
    LearnerState learner = source_->learner();
    if (!found_lost_.empty() && !learner.is_lost) learner = {true, found_lost_, false, false, learner.step};
    if (learner.is_lost && lost_.empty()) {
      const auto* text = reinterpret_cast<const std::byte*>(learner.why.data());
      why.assign(text, text + learner.why.size());
    }
    word.takes_samples = learner.takes_samples ? 1 : 0;
    word.is_back = !learner.is_lost && learner_is_lost() ? 1 : 0;
    word.is_done = learner.is_done && !held_ ? 1 : 0;
    word.bytes = static_cast<std::int64_t>(bytes.size());
    word.lost = static_cast<std::int64_t>(why.size());
  }
  word = share(word);
  is_done_ = word.is_done != 0;
  if (word.lost > 0) {
    share_bytes(why, word.lost);
    set_lost({reinterpret_cast<const char*>(why.data()), why.size()});
    takes_samples_ = word.takes_samples != 0;
  }
  if (word.is_back != 0) take_back();
  if (word.bytes == 0) return false;
  share_bytes(bytes, word.bytes);
  if (judge_it) {
    judge(bytes);
  } else {
    try {
      last_ = Model::from_bytes(bytes, "the learner's model");
    } catch (const InputError& error) {
      if (is_root()) spdlog::warn("gate: {}", error.what());
    }
  }
  return true;
}

void Gate::poll(std::int64_t sample) {
  sample_ = sample;
  while (take_one(true)) {
  }
}

void Gate::end_lessons() {
  lessons_over_ = true;
  if (is_root() && source_) source_->expect_signs();
}

void Gate::await_last(bool judge_them, const std::function<void(std::int64_t)>& on_beat,
                      const std::function<bool()>& between) {
  double told = MPI_Wtime();
  while (!is_done_) {
    // The first rank looks often, the others hear of it once a second or when there is something.
    const double slice = MPI_Wtime();
    std::optional<WaitScope> wait;
    if (is_root()) wait.emplace("the learner's last weights", MPI_COMM_NULL, WaitScope::kAll, WaitScope::kOutside);
    while (is_root() && MPI_Wtime() - slice < 1.0 && !held_) {
      if (auto candidate = source_->poll()) {
        held_ = std::move(candidate);
        break;
      }
      const LearnerState learner = source_->learner();
      if (learner.is_lost || learner.is_done) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the learner may share this core
    }
    wait.reset();
    if (is_root() && MPI_Wtime() - told > kTellSeconds) {
      told = MPI_Wtime();
      on_beat(source_->learner().step);
    }
    if (!take_one(judge_them) && learner_is_lost()) break;  // what it had offered before is judged
    if (between && between()) return;
  }
}

void Gate::set_lost(const std::string& why) {
  if (learner_is_lost()) return;
  lost_ = why;
  if (deck_.learner.when_lost == WhenLost::stop) throw RunError("the learner is lost, and learner.when_lost = stop: " + why);
  if (is_root())
    spdlog::warn("the learner is lost, the run goes on with {}: {}",
                 versions_.empty() ? "physics alone" : fmt::format("version {} of the weights", version()), why);
  if (metrics_) metrics_->write("learner_lost", {{"sample", sample_}, {"version", version()}, {"why", why}});
}

void Gate::take_back() {
  lost_.clear();
  if (is_root()) spdlog::info("the learner is back");
  if (metrics_) metrics_->write("learner_back", {{"sample", sample_}, {"version", version()}});
}

void Gate::judge(const std::vector<std::byte>& bytes) {
  const double began = MPI_Wtime();
  Version candidate;
  Finding finding;
  try {
    candidate.model = Model::from_bytes(bytes, "the learner's weights");
    candidate.facts = read_facts(candidate.model);
    if (candidate.facts.version <= judged_before_) {
      // Its verdict was on the way when the snapshot was taken.
      answer(candidate.facts.version, false);
      return;
    }
    finding = weigh(candidate);
  } catch (const InputError& error) {
    finding.why = error.what();
  }
  ++counts_.candidates;
  const CandidateFacts facts = candidate.facts;
  if (facts.version > 0) last_version_ = std::max(last_version_, facts.version);
  if (facts.version > 0 && not_finite(candidate.model).empty()) last_ = candidate.model;
  if (finding.is_promoted) {
    spoil(candidate);
    ++counts_.promoted;
    candidate.since_sample = sample_;
    versions_.push_back(std::move(candidate));
    while (static_cast<int>(versions_.size()) > deck_.gate.keep) versions_.pop_front();
  } else {
    ++counts_.rejected;
  }
  const double seconds = MPI_Wtime() - began;
  counts_.seconds += seconds;
  report(facts, finding, seconds);
  answer(facts.version, finding.is_promoted);
}

/// A fault that tests order: a version that turns out bad in use, on one rank or on all.
void Gate::spoil(Version& version) {
  const Fault fault = fault_at("promotion", version.facts.version);
  const std::optional<float> wild = wild_value(fault);
  if (fault != Fault::corrupt && !wild) return;
  Model spoilt = version.model;
  for (float& weight : spoilt.weights) weight = wild ? *wild : 30 * weight;
  version.correction->update(spoilt);
}

Gate::Finding Gate::weigh(Version& candidate) {
  Finding out;
  const CandidateFacts& facts = candidate.facts;
  const auto rejected = [&](const std::string& why) {
    out.why = why;
    return out;
  };
  if (facts.version <= last_version_)
    return rejected(fmt::format("version {} came after version {}", facts.version, last_version_));
  if (const std::string trouble = not_finite(candidate.model); !trouble.empty()) return rejected(trouble);
  if (!facts.relative_loss() && !deck_.teach.validation.empty()) return rejected("it comes without a held-out loss");
  if (const auto loss = facts.relative_loss(); loss && !(*loss < current_loss()))
    return rejected(fmt::format("its held-out loss, {:.4f} of that of correcting nothing, does not beat {:.4f} of {}",
                                *loss, current_loss(),
                                versions_.empty() ? "physics alone" : fmt::format("version {}", version())));
  candidate.correction = std::make_unique<HybridCorrection>(deck_, candidate.model, solvers_);
  if (!cases_.is_possible()) {
    out.is_promoted = true;
    out.why = "its held-out loss is less; there are no shadow forecasts";
    return out;
  }
  out.cases = cases_.size();
  if (out.cases == 0) return rejected("no lesson ran long enough for a shadow forecast");
  if (const std::string trouble = shadow(candidate); !trouble.empty())
    return rejected("in a shadow forecast " + trouble);
  out.shadow_score = score(candidate);
  out.current_score = 1.0;
  if (!versions_.empty()) {
    shadow(versions_.back());  // over cases that have come since; it has been through others already
    out.current_score = score(versions_.back());
  }
  // With more cases than it was promoted on, the version in use may itself have fallen behind physics alone.
  if (!(*out.shadow_score < std::min(*out.current_score, 1.0)))
    return rejected(fmt::format("its error in the shadow forecasts, {:.4f} of that of the coarse solver alone, does not "
                                "beat {:.4f} of {}",
                                *out.shadow_score, std::min(*out.current_score, 1.0),
                                *out.current_score >= 1 ? "physics alone" : fmt::format("version {}", version())));
  out.is_promoted = true;
  out.why = "it is better on held-out samples and in the shadow forecasts";
  return out;
}

/// Runs the shadow forecasts that this version has not been through. A forecast that had to be given up is as bad as can
/// be.
std::string Gate::shadow(Version& version) {
  for (int k = static_cast<int>(version.scores.size()); k < cases_.size(); ++k) {
    const FallbackTally before = version.correction->fallback();  // the version in use has run beside the lessons, too
    const ShadowCases::Outcome outcome = cases_.run(k, *version.correction);
    const double fallback = version.correction->fallback_since(before);
    const std::string trouble = outcome.trouble.empty() && fallback > deck_.gate.fallback_limit
                                    ? version.correction->fallback_text(fallback)
                                    : outcome.trouble;
    version.scores.push_back(trouble.empty() ? outcome.score : HUGE_VAL);
    if (!trouble.empty()) return trouble;
  }
  return "";
}

/// Root mean square over the cases.
double Gate::score(const Version& version) const {
  double sum = 0;
  for (const double one : version.scores) sum += one * one;
  return std::sqrt(sum / static_cast<double>(version.scores.size()));
}

void Gate::report(const CandidateFacts& facts, const Finding& finding, double seconds) {
  if (finding.is_promoted) {
    counts_.shadow_score = finding.shadow_score;
    versions_.back().model.provenance =
        in_provenance(versions_.back().model.provenance, {{"version", facts.version},
                                                          {"verdict", "promoted"},
                                                          {"sample", sample_},
                                                          {"shadow_score", optional_number(finding.shadow_score)},
                                                          {"cases", finding.cases}});
  }
  if (metrics_)
    metrics_->write("promotion", {{"version", facts.version},
                                  {"training_step", facts.training_step},
                                  {"sample", sample_},
                                  {"held_out_loss", optional_number(facts.held_out_loss)},
                                  {"relative_loss", optional_number(facts.relative_loss())},
                                  {"shadow_score", optional_number(finding.shadow_score)},
                                  {"current_score", optional_number(finding.current_score)},
                                  {"cases", finding.cases},
                                  {"verdict", finding.is_promoted ? "promoted" : "rejected"},
                                  {"why", finding.why},
                                  {"in_use", version()},
                                  {"seconds", seconds}});
  if (is_root())
    spdlog::info("gate: {} {} at sample {}: {}{}",
                 facts.version > 0 ? fmt::format("version {} of training step {}", facts.version, facts.training_step)
                                   : std::string("weights of a version that can not be told"),
                 finding.is_promoted ? "promoted" : "rejected", sample_, finding.why,
                 finding.shadow_score && finding.is_promoted ? fmt::format(" ({:.4f} of the coarse solver's error)", *finding.shadow_score)
                                                             : std::string());
}

void Gate::answer(std::int64_t version_judged, bool is_promoted) {
  if (is_root() && source_) source_->answer({version_judged, is_promoted, version(), current_loss()});
}

void Gate::roll_back(const std::string& why) {
  if (versions_.empty()) return;
  const std::int64_t from = version();
  versions_.pop_back();
  ++counts_.rollbacks;
  if (metrics_)
    metrics_->write("rollback", {{"version", from}, {"sample", sample_}, {"in_use", version()}, {"why", why}});
  if (is_root())
    spdlog::warn("gate: version {} is rolled back at sample {}, {} in use: {}", from, sample_,
                 versions_.empty() ? "physics alone is" : fmt::format("version {} is", version()), why);
  answer(from, false);
}

GateState Gate::state() const {
  GateState out;
  out.cases = cases_.state();
  if (!is_root()) return out;
  out.facts = {{"last_version", last_version_},
               {"candidates", counts_.candidates},
               {"promoted", counts_.promoted},
               {"rejected", counts_.rejected},
               {"superseded", counts_.superseded},
               {"rollbacks", counts_.rollbacks},
               {"live_hours", counts_.live_hours},
               {"seconds", counts_.seconds},
               {"has_last", last_.has_value()},
               {"versions", nlohmann::ordered_json::array()}};
  for (const Version& version : versions_) {
    nlohmann::ordered_json scores = nlohmann::ordered_json::array();
    for (const double one : version.scores) scores.push_back(std::isfinite(one) ? nlohmann::ordered_json(one) : nullptr);
    out.facts["versions"].push_back({{"since_sample", version.since_sample}, {"scores", scores}});
    out.models.push_back(version.model.to_bytes());
  }
  if (last_) out.models.push_back(last_->to_bytes());
  return out;
}

void Gate::restore(GateState state) {
  cases_.restore(state.cases);
  const auto facts =
      nlohmann::ordered_json::parse(shared_text(is_root() ? state.facts.dump() : std::string(), solvers_.comm()));
  facts.at("last_version").get_to(last_version_);
  facts.at("candidates").get_to(counts_.candidates);
  facts.at("promoted").get_to(counts_.promoted);
  facts.at("rejected").get_to(counts_.rejected);
  facts.at("superseded").get_to(counts_.superseded);
  facts.at("rollbacks").get_to(counts_.rollbacks);
  facts.at("live_hours").get_to(counts_.live_hours);
  facts.at("seconds").get_to(counts_.seconds);
  judged_before_ = last_version_;
  const auto model = [&](std::size_t k) {
    std::vector<std::byte> bytes;
    if (is_root()) bytes = state.models.at(k);
    std::int64_t length = static_cast<std::int64_t>(bytes.size());
    MPI_Bcast(&length, 1, MPI_INT64_T, 0, solvers_.comm());
    share_bytes(bytes, length);
    return Model::from_bytes(bytes, "the snapshot's weights");
  };
  std::size_t k = 0;
  for (const auto& one : facts.at("versions")) {
    Version version;
    version.model = model(k++);
    version.facts = read_facts(version.model);
    version.correction = std::make_unique<HybridCorrection>(deck_, version.model, solvers_);
    one.at("since_sample").get_to(version.since_sample);
    for (const auto& score : one.at("scores")) version.scores.push_back(score.is_null() ? HUGE_VAL : score.get<double>());
    versions_.push_back(std::move(version));
  }
  if (facts.at("has_last").get<bool>()) last_ = model(k);
  if (is_root() && source_) source_->take_up({last_version_, last_version_ == version(), version(), current_loss()});
}

GateSummary Gate::summary() const {
  GateSummary out = counts_;
  out.version = version();
  out.cases = cases_.size();
  out.learner_lost = lost_;
  out.shadow_score.reset();
  if (versions_.empty()) return out;
  const Version& in_use = versions_.back();
  out.training_step = in_use.facts.training_step;
  out.held_out_loss = in_use.facts.held_out_loss;
  out.relative_loss = in_use.facts.relative_loss();
  if (!in_use.scores.empty()) out.shadow_score = score(in_use);
  return out;
}

void Gate::save_models(const std::string& folder, bool is_stopped) const {
  const std::filesystem::path path = std::filesystem::path(folder) / deck_.learner.model;
  const std::filesystem::path beside = path.parent_path() / (path.stem().string() + "-last" + path.extension().string());
  std::filesystem::remove(path);
  std::filesystem::remove(beside);
  if (!versions_.empty()) {
    versions_.back().model.save(path);
    save_as_onnx(deck_, versions_.back().model);
  } else if (is_stopped && last_) {
    // What there is when a signal comes must not be lost, and says that nobody looked at it.
    Model unjudged = *last_;
    unjudged.provenance = in_provenance(unjudged.provenance, {{"verdict", "not judged: a signal ended the run"}});
    unjudged.save(path);
    save_as_onnx(deck_, unjudged);
    return;
  }
  if (!last_ || (!versions_.empty() && read_facts(*last_).version == version())) return;
  Model last = *last_;
  last.provenance = in_provenance(last.provenance, {{"verdict", "not in use"}});
  last.save(beside);
}

}  // namespace tramontane
