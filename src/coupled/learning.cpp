#include "src/coupled/learning.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

#include "ml/reservoir.hpp"
#include "physics/grid.hpp"
#include "src/deck/network_spec.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// Outputs are bounded by this multiple of the largest target that the normaliser saw.
constexpr double kBoundFactor = 1.5;
/// Steps over which the last loss is averaged: single batches scatter.
constexpr std::int64_t kLossWindow = 50;
/// In deterministic mode all samples are admitted by this share of the steps.
constexpr double kAdmissionShare = 0.5;

int rank_in(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}
int size_of(MPI_Comm comm) {
  int size = 1;
  MPI_Comm_size(comm, &size);
  return size;
}

TrainerOptions trainer_options(const Deck& deck, const LearningPlan& plan) {
  TrainerOptions options;
  options.optimiser.learning_rate = deck.learner.learning_rate;
  options.optimiser.warmup_steps = deck.learner.warmup;
  options.optimiser.total_steps = deck.learner.steps;
  options.optimiser.weight_decay = deck.learner.weight_decay;
  options.optimiser.clip_norm = deck.learner.clip;
  options.optimiser.average_decay = deck.learner.ema;
  options.seed = static_cast<std::uint64_t>(deck.learner.seed);
  options.deadline_seconds = deck.stream.deadline;
  options.kind = name_of(deck.surrogate.kind);
  options.interval_seconds = plan.interval;
  return options;
}

/// The training of one learner rank, as a list of named tasks: admit, wait for the watermark, normalise, then steps.
class Learning {
 public:
  Learning(const Deck& deck, const LearningPlan& plan, SampleSource& source, MPI_Comm learners, MetricsWriter* metrics,
           const LearningHooks& hooks)
      : deck_(deck),
        plan_(plan),
        source_(source),
        learners_(learners),
        metrics_(metrics),
        hooks_(hooks),
        learner_count_(size_of(learners)),
        local_batch_(deck.learner.batch / learner_count_),
        statics_(surrogate_statics(plan.n)),
        trainer_(network_spec(deck, plan.n, statics_.variables.size()), trainer_options(deck, plan), statics_, learners,
                 name_of(deck.surrogate.backend)),
        reservoir_(reservoir_options()) {}

  LearningOutcome run() {
    fill_to_watermark();
    set_normaliser();
    validate(0);
    Progress progress("training", static_cast<double>(deck_.learner.steps), "steps", metrics_ != nullptr);
    const double began = MPI_Wtime();
    for (std::int64_t step = 1; step <= deck_.learner.steps; ++step) {
      admit(admitted_at(step));
      meet_other_learners();
      agree_on_end();
      const StepReport report = trainer_.step(reservoir_.draw(static_cast<std::size_t>(local_batch_)));
      training_seconds_ += report.seconds;
      record(report);
      if (step % deck_.learner.validate_every == 0 || step == deck_.learner.steps) validate(step);
      if (hooks_.after_step) hooks_.after_step(step);
      progress.update(static_cast<double>(step), fmt::format("loss {:.4f}, held out {:.4f}", recent_loss(), held_out_));
      steps_done_ = step;
      if (stop_requested(learners_)) break;
    }
    drain_source();
    LearningOutcome out;
    out.model = trainer_.model(plan_.provenance);
    out.summary = summary(MPI_Wtime() - began);
    return out;
  }

 private:
  ReservoirOptions reservoir_options() const {
    ReservoirOptions options;
    options.capacity = static_cast<std::size_t>(deck_.learner.reservoir);
    options.validation_capacity = static_cast<std::size_t>(std::max<std::int64_t>(plan_.validation, 1));
    options.watermark = static_cast<std::size_t>(std::max(1, deck_.learner.watermark / learner_count_));
    options.seed = static_cast<std::uint64_t>(deck_.learner.seed) + static_cast<std::uint64_t>(rank_in(learners_));
    return options;
  }

  std::int64_t total() const { return plan_.training + plan_.validation; }

  /// In deterministic mode: samples with numbers below this may be drawn from at a step (0: before the first).
  std::int64_t admitted_at(std::int64_t step) const {
    if (!deck_.learner.deterministic) return total();
    const std::int64_t start = start_number_;
    const double share = std::min(1.0, static_cast<double>(step) / (kAdmissionShare * deck_.learner.steps));
    return std::min(total(), start + static_cast<std::int64_t>(share * static_cast<double>(total() - start)));
  }

  /// Moves whatever the source has at hand into the waiting list, so that a solver is not held up by our schedule.
  void take_in() {
    while (static_cast<std::int64_t>(waiting_.size()) < deck_.learner.reservoir) {
      std::optional<Sample> sample = source_.poll();
      if (!sample) break;
      waiting_.push_back(std::move(*sample));
    }
  }

  /// One more sample into the waiting list, waiting for it; false at the end of the source.
  bool wait_for_one() {
    std::optional<Sample> sample = source_.wait();
    if (!sample) return false;
    waiting_.push_back(std::move(*sample));
    return true;
  }

  /// Waits until every learner has come here, and takes in samples meanwhile: a frame for this learner must not stand
  /// in the solver's queue before those that the others still wait for.
  void meet_other_learners() {
    if (learner_count_ == 1) return;
    MPI_Request request;
    MPI_Ibarrier(learners_, &request);
    const double began = MPI_Wtime();
    for (int done = 0;;) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done) return;
      take_in();
      if (MPI_Wtime() - began > deck_.stream.deadline)
        throw RunError(fmt::format("learner {} waited {:g} s for the samples of the other learners", rank_in(learners_),
                                   deck_.stream.deadline));
      std::this_thread::sleep_for(std::chrono::microseconds(200));  // the others may share this core
    }
  }

  /// Ending the source is collective over the learners, and so is a training step: one is told only when all have it.
  void agree_on_end() {
    if (told_end_) return;
    int ended = source_.ended() ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &ended, 1, MPI_INT, MPI_MIN, learners_);
    if (!ended) return;
    told_end_ = true;
    if (hooks_.source_ended) hooks_.source_ended();
  }

  /// Puts waiting samples with numbers below `limit` into the reservoir. In deterministic mode waits until they are in.
  void admit(std::int64_t limit) {
    take_in();
    while (true) {
      while (!waiting_.empty() && waiting_.front().info.number < limit) {
        next_number_ = waiting_.front().info.number + 1;
        if (!reservoir_.add(waiting_.front())) return;  // full of unseen samples: the next steps make room
        waiting_.pop_front();
      }
      // The next sample's number tells that all below the limit have been here; so does the end of the source.
      if (!deck_.learner.deterministic || !waiting_.empty() || next_number_ >= limit || source_.ended()) return;
      if (!wait_for_one()) return;
    }
  }

  void fill_to_watermark() {
    Progress progress("filling the reservoir", static_cast<double>(reservoir_options().watermark), "samples",
                      metrics_ != nullptr);
    while (!reservoir_.ready()) {
      take_in();
      if (waiting_.empty() && !wait_for_one()) break;
      if (!reservoir_.add(waiting_.front())) break;  // full: as ready as it will be
      next_number_ = waiting_.front().info.number + 1;
      waiting_.pop_front();
      progress.update(static_cast<double>(reservoir_.size()));
    }
    start_number_ = next_number_;
    meet_other_learners();
    long least = static_cast<long>(reservoir_.size());
    MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_LONG, MPI_MIN, learners_);
    if (least > 0) return;
    throw RunError(stop_requested(learners_)
                       ? "a signal ended the run before a training sample reached every learner: there is no model"
                       : "no training sample reached some learner: teach more months, or let stream.when_full block");
  }

  void set_normaliser() {
    NormaliserStatistics statistics(statics_.area, static_cast<int>(sample_inputs().size()),
                                    static_cast<int>(sample_targets().size()));
    for (const Sample* sample : reservoir_.samples()) statistics.add(*sample);
    statistics.reduce(learners_, deck_.stream.deadline);
    trainer_.set_normaliser(statistics.finish(kBoundFactor));
  }

  void validate(std::int64_t step) {
    std::vector<const Sample*> held_out;
    for (const auto& sample : reservoir_.validation()) held_out.push_back(sample.get());
    long count = static_cast<long>(held_out.size());
    MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_LONG, MPI_SUM, learners_);
    if (count == 0) return;
    const ValidationReport report = trainer_.validate(held_out);
    held_out_ = report.loss;
    validated_ = true;
    if (!metrics_) return;
    nlohmann::ordered_json line = {
        {"step", step}, {"samples", report.samples}, {"loss", report.loss}, {"persistence", report.persistence}};
    for (std::size_t k = 0; k < report.per_variable.size(); ++k)
      line["loss_" + sample_targets()[k].name] = report.per_variable[k];
    metrics_->write("validate", line);
  }

  void record(const StepReport& report) {
    if (report.step == 1) first_loss_ = report.loss;
    recent_.push_back(report.loss);
    if (static_cast<std::int64_t>(recent_.size()) > kLossWindow) recent_.pop_front();
    if (!metrics_ || (report.step % 10 != 0 && report.step != 1)) return;
    metrics_->write("train", {{"step", report.step},
                              {"loss", report.loss},
                              {"gradient_norm", report.gradient_norm},
                              {"learning_rate", report.learning_rate},
                              {"samples_per_second", deck_.learner.batch / report.seconds},
                              {"samples", reservoir_.size()}});
  }

  double recent_loss() const {
    double sum = 0;
    for (double loss : recent_) sum += loss;
    return recent_.empty() ? 0 : sum / static_cast<double>(recent_.size());
  }

  /// Samples that came after the last step are taken and left: the stream's ledger must close.
  void drain_source() {
    source_.discard_rest();
    agree_on_end();
  }

  LearnerSummary summary(double seconds) const {
    LearnerSummary out;
    std::int64_t counts[2] = {reservoir_.accepted(), reservoir_.drawn()};
    MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, learners_);
    out.parameters = static_cast<std::int64_t>(trainer_.parameters());
    out.steps = steps_done_;
    out.samples_seen = counts[1];
    out.reuse_factor = counts[0] > 0 ? static_cast<double>(counts[1]) / static_cast<double>(counts[0]) : 0;
    out.samples_per_second = training_seconds_ > 0 ? static_cast<double>(counts[1]) / training_seconds_ : 0;
    out.loss_first = first_loss_;
    out.loss_last = recent_loss();
    if (validated_) out.validation_loss = held_out_;
    out.weights_version = 1;
    spdlog::debug("training took {:.1f} s", seconds);
    return out;
  }

  const Deck& deck_;
  const LearningPlan& plan_;
  SampleSource& source_;
  MPI_Comm learners_;
  MetricsWriter* metrics_;
  const LearningHooks& hooks_;
  int learner_count_, local_batch_;
  StaticFields statics_;
  Trainer trainer_;
  Reservoir reservoir_;
  std::deque<Sample> waiting_;
  std::deque<double> recent_;
  std::int64_t steps_done_ = 0, next_number_ = 0, start_number_ = 0;
  bool told_end_ = false, validated_ = false;
  double first_loss_ = 0, held_out_ = 0, training_seconds_ = 0;
};

}  // namespace

StaticFields surrogate_statics(int n) {
  const Grid grid(Tiling(n, 1, 1), 0);
  StaticFields statics;
  statics.variables = {{"x", "1", "unit-sphere x of the cell centre"},
                       {"y", "1", "unit-sphere y of the cell centre"},
                       {"z", "1", "unit-sphere z of the cell centre: sine of latitude, and so the Coriolis parameter"},
                       {"alpha", "1", "panel angle along x over a quarter of pi"},
                       {"beta", "1", "panel angle along y over a quarter of pi"}};
  const std::size_t cells = grid.tiling().cell_count();
  statics.values.resize(statics.variables.size() * cells);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        const Vector3 r = to_cartesian(grid.centre({panel, j, i}));
        const std::size_t k = grid.tiling().global_offset({panel, j, i});
        statics.values[k] = static_cast<float>(r.x);
        statics.values[cells + k] = static_cast<float>(r.y);
        statics.values[2 * cells + k] = static_cast<float>(r.z);
        statics.values[3 * cells + k] = static_cast<float>(grid.angle(i) / kQuarterPi);
        statics.values[4 * cells + k] = static_cast<float>(grid.angle(j) / kQuarterPi);
      }
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = -1; j <= n; ++j)
      for (int i = -1; i <= n; ++i) {
        const Basis basis = basis_at({panel, grid.angle(i), grid.angle(j)});
        for (const Vector3& axis : {normalised(basis.alpha), normalised(basis.beta)})
          for (double component : {axis.x, axis.y, axis.z}) statics.axes.push_back(static_cast<float>(component));
      }
  statics.area = grid.cell_areas();
  return statics;
}

LearningOutcome learn(const Deck& deck, const LearningPlan& plan, SampleSource& source, MPI_Comm learners,
                      MetricsWriter* metrics, const LearningHooks& hooks) {
  if (deck.learner.batch % size_of(learners) != 0)
    throw InputError(fmt::format("{}learner.batch = {} does not divide over {} learner ranks: choose a multiple",
                                 deck.where("learner.batch"), deck.learner.batch, size_of(learners)));
  return Learning(deck, plan, source, learners, metrics, hooks).run();
}

}  // namespace tramontane
