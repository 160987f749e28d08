#include "src/coupled/learning.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <filesystem>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/onnx/model_export.hpp"
#include "physics/grid.hpp"
#include "src/coupled/bad_steps.hpp"
#include "src/deck/network_spec.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// Steps over which the last loss is averaged: single batches scatter.
constexpr std::int64_t kLossWindow = 50;

TrainerOptions trainer_options(const Deck& deck, const LearningPlan& plan, MPI_Comm learners) {
  TrainerOptions options;
  // Small passes keep activations in a processor's cache; a GPU wants all of the batch at once.
  if (deck.surrogate.backend == SurrogateBackend::cudnn)
    options.micro_batch = std::max(1, deck.learner.batch / size_of(learners));
  options.optimiser.learning_rate = deck.learner.learning_rate;
  options.optimiser.warmup_steps = deck.learner.warmup;
  options.optimiser.total_steps = plan.rollout.stages.empty() ? plan.steps : plan.rollout.one_step;
  options.optimiser.tuning_steps = plan.rollout.tuning_steps();
  options.optimiser.tuning_fraction = deck.learner.rollout_rate;
  options.optimiser.weight_decay = deck.learner.weight_decay;
  options.optimiser.clip_norm = deck.learner.clip;
  options.optimiser.average_decay = deck.learner.ema;
  options.precision = deck.learner.precision;
  options.seed = static_cast<std::uint64_t>(deck.learner.seed);
  options.deadline_seconds = deck.stream.deadline;
  options.backend.tf32 = deck.learner.precision == "tf32";
  options.backend.deterministic = deck.learner.deterministic;
  options.kind = name_of(deck.surrogate.kind);
  options.interval_seconds = plan.interval;
  return options;
}

/// The weights with the least held-out loss so far, and how long they have been the best.
class BestWeights {
 public:
  /// Whether this validation is the best.
  bool see(std::int64_t step, double loss, const std::vector<float>& weights) {
    if (step_ >= 0 && loss >= loss_) {
      ++since_;
      return false;
    }
    step_ = step;
    loss_ = loss;
    since_ = 0;
    weights_ = weights;
    return true;
  }
  void store(TrainingProgress& progress) const {
    progress.best_step = step_;
    progress.best_loss = loss_;
    progress.since_best = since_;
    progress.best_weights = weights_;
  }
  void restore(const TrainingProgress& progress) {
    step_ = progress.best_step;
    loss_ = progress.best_loss;
    since_ = progress.since_best;
    weights_ = progress.best_weights;
  }
  std::int64_t step() const { return step_; }
  double loss() const { return loss_; }
  std::int64_t since() const { return since_; }  ///< validations
  const std::vector<float>& weights() const { return weights_; }

 private:
  std::int64_t step_ = -1, since_ = 0;
  double loss_ = 0;
  std::vector<float> weights_;
};

/// The training of one learner rank, as a list of named tasks.
class Learning {
 public:
  Learning(const Deck& deck, const LearningPlan& plan, BatchSource& batches, MPI_Comm learners, MetricsWriter* metrics,
           const LearningHooks& hooks)
      : deck_(deck),
        plan_(plan),
        batches_(batches),
        learners_(learners),
        metrics_(metrics),
        hooks_(hooks),
        trainer_(training_network(deck, plan), trainer_options(deck, plan, learners), surrogate_statics(plan.n), learners,
                 name_of(deck.surrogate.backend)) {}

  LearningOutcome run() {
    ask([&] { batches_.prepare(); });
    if (stopped_) return stopped_early();
    plan_.resumed ? resume() : start();
    if (stopped_) return stopped_early();
    is_started_ = true;
    const std::int64_t first = steps_done_;
    Progress progress(first > 0 ? fmt::format("training after step {}", first) : "training",
                      static_cast<double>(plan_.steps - first), "steps", metrics_ != nullptr);
    bool is_over = has_run_out_of_patience();
    for (std::int64_t step = first + 1; step <= plan_.steps && !is_over; ++step) {
      batches_.observe(trainer_);
      // A batch that is drawn anew for a bad step may be broken off, too.
      const auto draw = [&] {
        std::vector<const Sample*> batch = batches_.batch(step);
        while (breaks_off() && !stopped_) batch = batches_.batch(step);
        if (stopped_) throw Stopped{};
        return batch;
      };
      StepReport report;
      try {
        report = plan_.contains_bad_steps ? bad_steps_.step(step, draw) : trainer_.step(draw());
      } catch (const Stopped&) {
        if (!hooks_.held_up) return stopped_early();
        break;
      }
      record(report);
      const bool ends_one_step = plan_.rollout.begins_after(step);
      if (step % deck_.learner.validate_every == 0 || step == plan_.steps || ends_one_step ||
          (hooks_.validation_due && hooks_.validation_due(step)))
        validate(step);
      if (ends_one_step) begin_tuning(step);
      if (hooks_.after_step) hooks_.after_step(step);
      progress.update(static_cast<double>(step - first), progress_note(step));
      steps_done_ = step;
      is_over = has_run_out_of_patience();
      if (is_stopped_or_due()) break;
    }
    ask([&] { batches_.finish(); });
    progress.finish();
    if (stopped_ && (hooks_.broken_off || steps_done_ == 0)) return stopped_early();
    LearningOutcome out;
    out.is_stopped = stopped_;
    distribution_ = batches_.distribution();
    out.model = model();
    if (best_.step() >= 0) out.best = best_model(out.model);
    out.summary = summary();
    if (hooks_.checkpoint) hooks_.checkpoint(checkpoint());
    if (hooks_.broken_off) out.last_state = checkpoint();
    return out;
  }

 private:
  /// Leaves the step at work: the snapshot that was to be the last has been taken before it.
  struct Stopped {};

  /// Whether the batches were broken off; then what was wanted is done, and they are to be asked again.
  bool breaks_off() {
    if (!batches_.is_interrupted()) return false;
    stopped_ = hooks_.held_up ? hooks_.held_up()
                              : hooks_.broken_off(is_started_ ? std::optional(checkpoint()) : plan_.resumed);
    return true;
  }

  /// Asks the batches for something until it is done, or training ends.
  void ask(const std::function<void()>& request) {
    for (request(); breaks_off() && !stopped_;) request();
  }

  /// After a snapshot that was to be the last: it holds all there is. Before the first step of a job there is nothing new.
  LearningOutcome stopped_early() const {
    LearningOutcome out;
    out.is_stopped = true;
    out.summary = summary();
    return out;
  }

  std::string progress_note(std::int64_t step) const {
    std::string note =
        fmt::format("{:.0f} samples/s, loss {:.4f}, held out {:.4f}", recent_rate(), recent_loss(), held_out_);
    if (plan_.rollout.is_tuning(step))
      note = fmt::format("rollouts over {}, {}, after {} intervals {:.4f}", plan_.rollout.intervals(step), note,
                         plan_.rollout.longest(), rollout_);
    return note;
  }

  void start() {
    trainer_.set_normaliser(plan_.from ? plan_.from->normaliser : batches_.normaliser());
    if (plan_.from) {
      OptimiserState state;
      state.parameters = state.average = plan_.from->weights;
      state.first_moment.assign(state.parameters.size(), 0.0f);
      state.second_moment = state.first_moment;
      trainer_.restore(std::move(state));
    }
    validate(0);
    if (plan_.rollout.begins_after(0)) begin_tuning(0);
  }

  /// The fine-tuning begins as a training from the model of the first part would: with its best weights, as both weights
  /// and average, and no moments. From here on what counts is the loss of rollouts, that of the beginning included.
  void begin_tuning(std::int64_t step) {
    OptimiserState state = trainer_.state();
    if (best_.step() >= 0) state.average = best_.weights();
    state.parameters = state.average;
    std::fill(state.first_moment.begin(), state.first_moment.end(), 0.0f);
    std::fill(state.second_moment.begin(), state.second_moment.end(), 0.0f);
    trainer_.restore(state);
    best_ = {};
    validate_rollouts(step);
    rollout_first_ = rollout_;
  }

  void resume() {
    const TrainingCheckpoint& from = *plan_.resumed;
    trainer_.set_normaliser(from.normaliser);
    trainer_.restore(from.optimiser);
    steps_done_ = from.optimiser.step;
    ask([&] { batches_.skip(steps_done_); });
    const TrainingProgress& p = from.progress;
    first_loss_ = p.loss_first;
    held_out_ = p.held_out_loss;
    validated_ = p.is_validated;
    training_seconds_ = p.seconds;
    recent_.assign(p.recent_losses.begin(), p.recent_losses.end());
    rollout_first_ = p.rollout_loss_first;
    rollout_ = p.rollout_loss;
    lost_before_ = p.rollouts_lost;
    best_.restore(p);
  }

  /// Collective.
  TrainingCheckpoint checkpoint() const {
    TrainingCheckpoint out;
    out.optimiser = trainer_.state();
    out.normaliser = trainer_.normaliser();
    TrainingProgress& p = out.progress;
    p.loss_first = first_loss_;
    p.held_out_loss = held_out_;
    p.is_validated = validated_;
    p.seconds = training_seconds_;
    p.recent_losses.assign(recent_.begin(), recent_.end());
    p.rollout_loss_first = rollout_first_;
    p.rollout_loss = rollout_;
    p.rollouts_lost = rollouts_lost();
    best_.store(p);
    return out;
  }

  /// One message for two questions: has a signal come to any rank, and does rank 0's clock ask for a checkpoint?
  bool is_stopped_or_due() {
    int flags[2] = {stop_requested() && !hooks_.broken_off ? 1 : 0, hooks_.checkpoint_due && hooks_.checkpoint_due() ? 1 : 0};
    MPI_Allreduce(MPI_IN_PLACE, flags, 2, MPI_INT, MPI_MAX, learners_);
    stopped_ = flags[0] != 0;
    if (flags[1] && !stopped_ && steps_done_ < plan_.steps) hooks_.checkpoint(checkpoint());
    return stopped_;
  }

  bool has_run_out_of_patience() const {
    return plan_.keep_best && deck_.learner.patience > 0 && best_.since() >= deck_.learner.patience;
  }

  Model model() const {
    Model model = trainer_.model(plan_.provenance);
    model.distribution = distribution_;
    return model;
  }

  /// Over the training's restarts. Collective.
  std::int64_t rollouts_lost() const {
    std::int64_t lost = batches_.lost();
    MPI_Allreduce(MPI_IN_PLACE, &lost, 1, MPI_INT64_T, MPI_SUM, learners_);
    return lost_before_ + lost;
  }

  void validate(std::int64_t step) {
    sign_of_life("validation", step);
    if (plan_.rollout.is_tuning(step)) validate_rollouts(step);
    distribution_ = batches_.distribution();  // collective, and a candidate may be made on one rank alone
    const std::optional<ValidationReport> found =
        plan_.contains_bad_steps ? bad_steps_.validate(step, [&] { return batches_.validate(trainer_); })
                                 : batches_.validate(trainer_);
    if (!found) return;
    const ValidationReport& report = *found;
    if (hooks_.validated) hooks_.validated(step, report, [this] { return model(); });
    if (report.samples == 0) return;
    held_out_ = report.loss;
    validated_ = true;
    const bool is_best = plan_.keep_best && !plan_.rollout.is_tuning(step) &&
                         best_.see(step, report.loss, trainer_.averaged_weights());
    if (!metrics_) return;
    nlohmann::ordered_json line = {
        {"step", step}, {"samples", report.samples}, {"loss", report.loss}, {"persistence", report.persistence}};
    for (std::size_t k = 0; k < report.per_variable.size(); ++k)
      line["loss_" + sample_targets()[k].name] = report.per_variable[k];
    if (plan_.keep_best) line["best"] = is_best;
    metrics_->write("validate", line);
  }

  void validate_rollouts(std::int64_t step) {
    const RolloutReport report = batches_.validate_rollouts(trainer_);
    const std::int64_t lost = rollouts_lost();
    if (report.losses.samples == 0) return;
    rollout_ = report.losses.loss;
    // A mean over what is left would flatter weights that lose some.
    const bool is_best =
        plan_.keep_best && report.lost == 0 && best_.see(step, rollout_, trainer_.averaged_weights());
    if (!metrics_) return;
    nlohmann::ordered_json line = {{"step", step},
                                   {"rollout", report.intervals},
                                   {"samples", report.losses.samples},
                                   {"lost", report.lost},
                                   {"loss", rollout_},
                                   {"without_last_correction", report.losses.persistence}};
    for (std::size_t k = 0; k < report.losses.per_variable.size(); ++k)
      line["loss_" + sample_targets()[k].name] = report.losses.per_variable[k];
    line["best"] = is_best;
    line["rollouts_lost"] = lost;
    metrics_->write("validate_rollouts", line);
  }

  void record(const StepReport& report) {
    sign_of_life("train-step", report.step);
    training_seconds_ += report.seconds;
    if (report.step == 1) first_loss_ = report.loss;
    recent_.push_back(report.loss);
    if (static_cast<std::int64_t>(recent_.size()) > kLossWindow) recent_.pop_front();
    recent_seconds_.push_back(report.seconds);
    if (static_cast<std::int64_t>(recent_seconds_.size()) > kLossWindow) recent_seconds_.pop_front();
    if (!metrics_ || (report.step % 10 != 0 && report.step != 1)) return;
    nlohmann::ordered_json line = {{"step", report.step},
                                   {"loss", report.loss},
                                   {"gradient_norm", report.gradient_norm},
                                   {"learning_rate", report.learning_rate},
                                   {"samples_per_second", deck_.learner.batch / report.seconds},
                                   {"samples", batches_.at_hand()}};
    if (!plan_.rollout.stages.empty()) line["rollout"] = plan_.rollout.intervals(report.step);
    metrics_->write("train", line);
  }

  /// The rank where it arose says what it was; the first learner rank keeps the record.
  void note_bad_step(std::int64_t step, const std::string& what, bool arose_here) {
    if (metrics_ || arose_here) spdlog::warn("a bad training step, let go: {}", what);
    if (metrics_) metrics_->write("bad_step", {{"step", step}, {"what", what}});
  }

  static double mean(const std::deque<double>& values) {
    double sum = 0;
    for (double value : values) sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
  }
  double recent_loss() const { return mean(recent_); }
  double recent_rate() const { return recent_seconds_.empty() ? 0 : deck_.learner.batch / mean(recent_seconds_); }

  /// The best weights in the place of the last ones.
  Model best_model(const Model& last) const {
    Model model = last;
    model.weights = best_.weights();
    model.training_step = best_.step();
    model.make_self_test();
    return model;
  }

  LearnerSummary summary() const {
    LearnerSummary out;
    std::int64_t counts[2] = {batches_.accepted(), batches_.drawn()};
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
    out.bad_steps = bad_steps_.count();
    if (!plan_.keep_best) return out;
    OfflineSummary& offline = out.offline.emplace();
    offline.resumed_step = plan_.resumed ? plan_.resumed->optimiser.step : 0;
    offline.read_wait_seconds = batches_.wait_seconds();
    offline.stopped_early = has_run_out_of_patience() && steps_done_ < plan_.steps;
    offline.best_step = best_.step();
    if (best_.step() >= 0) offline.best_validation_loss = best_.loss();
    if (plan_.rollout.stages.empty()) return out;
    RolloutSummary& rollout = offline.rollout.emplace();
    rollout.stages = plan_.rollout.stages;
    rollout.steps = std::max<std::int64_t>(0, steps_done_ - plan_.rollout.one_step);
    rollout.lost = rollouts_lost();
    rollout.loss_first = rollout_first_;
    rollout.loss_last = rollout_;
    return out;
  }

  const Deck& deck_;
  const LearningPlan& plan_;
  BatchSource& batches_;
  MPI_Comm learners_;
  MetricsWriter* metrics_;
  const LearningHooks& hooks_;
  Trainer trainer_;
  BadSteps bad_steps_{trainer_, [this](std::int64_t step, const std::string& what, bool arose_here) {
                       note_bad_step(step, what, arose_here);
                     }};
  BestWeights best_;
  TrainingDistribution distribution_;  ///< of the samples so far
  std::deque<double> recent_, recent_seconds_;
  std::int64_t steps_done_ = 0;
  bool validated_ = false, stopped_ = false, is_started_ = false;
  double first_loss_ = 0, held_out_ = 0, training_seconds_ = 0;
  double rollout_first_ = 0, rollout_ = 0;  ///< held-out loss of the longest rollouts: as the fine-tuning began, now
  std::int64_t lost_before_ = 0;            ///< rollouts, before this job
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

CellPositions cell_positions(int n) {
  const std::vector<float> values = surrogate_statics(n).values;
  return {values.begin(), values.begin() + std::ptrdiff_t{3} * kPanels * n * n};
}

NetworkSpec training_network(const Deck& deck, const LearningPlan& plan) {
  if (plan.from) return plan.from->network;
  return network_spec(deck, plan.n, surrogate_statics(plan.n).variables.size());
}

LearningOutcome learn(const Deck& deck, const LearningPlan& plan, BatchSource& batches, MPI_Comm learners,
                      MetricsWriter* metrics, const LearningHooks& hooks) {
  if (deck.learner.batch % size_of(learners) != 0)
    throw InputError(fmt::format("{}learner.batch = {} does not divide over {} learner ranks: choose a multiple",
                                 deck.where("learner.batch"), deck.learner.batch, size_of(learners)));
  return Learning(deck, plan, batches, learners, metrics, hooks).run();
}

void save_as_onnx(const Deck& deck, const Model& model) {
  if (!deck.output.onnx) return;
  const std::filesystem::path beside = std::filesystem::path(deck.output.dir) / deck.learner.model;
  save_onnx(model, surrogate_statics(model.network.n), std::filesystem::path(beside).replace_extension(".onnx"));
}

}  // namespace tramontane
