#include "ml/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tramontane {
namespace {

NetworkSpec checked(NetworkSpec spec, const StaticFields& statics) {
  check(spec);
  const std::size_t inputs = sample_inputs().size() + statics.variables.size();
  if (static_cast<std::size_t>(spec.inputs) != inputs ||
      static_cast<std::size_t>(spec.outputs) != sample_targets().size())
    throw InputError(
        fmt::format("the network has {} inputs and {} outputs but samples and static fields need {} and {}",
                    spec.inputs, spec.outputs, inputs, sample_targets().size()));
  return spec;
}

int checked(int micro_batch) {
  if (micro_batch < 1)
    throw InputError(fmt::format("a micro-batch of {} samples is impossible: choose 1 or more", micro_batch));
  return micro_batch;
}

}  // namespace

Trainer::Trainer(NetworkSpec spec, TrainerOptions options, StaticFields statics, MPI_Comm learners,
                 const std::string& backend)
    : spec_(checked(spec, statics)),
      options_(options),
      graph_(build_graph(spec_)),
      layout_(Tiling(spec_.n, spec_.tiles_per_edge, 1), std::move(statics), static_cast<int>(sample_inputs().size()),
              spec_.outputs),
      reducer_(learners, graph_.parameters() + 1, options.deadline_seconds),
      optimiser_(graph_, options.optimiser, initial_parameters(graph_, options.seed)),
      halo_(std::make_shared<LocalHalo<float>>(Tiling(spec_.n, spec_.tiles_per_edge, 1), checked(options.micro_batch))),
      frames_(layout_.statics().axes.empty()
                  ? PanelFrames()
                  : PanelFrames(halo_->grid(), layout_.statics().axes, 0, halo_->grid().tile_count())),
      network_(graph_, make_backend<float>(backend), halo_, false),
      network_gradient_(network_, halo_),
      targets_(options.micro_batch),
      gradient_(graph_.parameters() + 1) {
  list_tasks();
  if (!frames_.empty())
    network_.set_input_transform(
        [this](float* padded) { frames_.to_panel(padded, network_.images(), network_.input_stride(), kInputVector); });
}

void Trainer::list_tasks() {
  pass_tasks_ = {
      {"gather", [this] { gather_batch(); }},
      {"forward", [this] { predict(); }},
      {"loss", [this] { evaluate_loss(); }},
      {"backward", [this] { network_gradient_.backward(gradient_.data()); }},
  };
  step_tasks_ = {
      {"reduce", [this] { reducer_.mean(gradient_); }},
      {"clip", [this] { check_finite(); }},
      {"update", [this] { optimiser_.update(gradient_, norm_); }},
  };
}

void Trainer::run(std::vector<Task>& tasks) {
  for (Task& task : tasks) {
    const double start = MPI_Wtime();
    task.run();
    task.seconds += MPI_Wtime() - start;
  }
}

void Trainer::set_normaliser(Normaliser normaliser) {
  if (normaliser.input_mean.size() != sample_inputs().size() || normaliser.target_std.size() != sample_targets().size())
    throw InputError(fmt::format("the normaliser has {} inputs and {} targets, the samples {} and {}",
                                 normaliser.input_mean.size(), normaliser.target_std.size(), sample_inputs().size(),
                                 sample_targets().size()));
  normaliser_ = std::move(normaliser);
}

void Trainer::gather_batch() {
  const std::size_t input_size = static_cast<std::size_t>(layout_.cells()) * network_.input_stride();
  for (std::size_t k = 0; k < count_; ++k) {
    std::string problem = layout_.gather(*batch_[first_ + k], normaliser_, network_.input() + k * input_size,
                                         network_.input_stride(), targets_[k]);
    if (problem_.empty()) problem_ = std::move(problem);
  }
}

void Trainer::predict() {
  network_.forward();
  const std::size_t size = static_cast<std::size_t>(layout_.cells()) * options_.micro_batch * network_.output_stride();
  prediction_.assign(network_.output(), network_.output() + size);
  if (!frames_.empty())
    frames_.to_cartesian(prediction_.data(), network_.images(), network_.output_stride(), kTargetVector);
}

void Trainer::evaluate_loss() {
  const int stride = network_.output_stride();
  const std::size_t size = static_cast<std::size_t>(layout_.cells()) * stride;
  const double scale = 1.0 / (static_cast<double>(batch_.size()) * layout_.targets());
  for (std::size_t k = 0; k < count_; ++k) {
    layout_.squared_error(prediction_.data() + k * size, stride, targets_[k], scale, errors_,
                          network_gradient_.output_gradient() + k * size);
    for (double e : errors_) loss_ += scale * e;
  }
  // An incomplete last pass leaves old samples behind the new ones: they must not count.
  std::fill(network_gradient_.output_gradient() + count_ * size,
            network_gradient_.output_gradient() + options_.micro_batch * size, 0.0f);
  if (!frames_.empty())
    frames_.to_cartesian_adjoint(network_gradient_.output_gradient(), network_.images(), stride, kTargetVector);
  if (!std::isfinite(loss_) && problem_.empty()) {
    const std::string layer = network_.first_layer_not_finite();
    problem_ = layer.empty() ? "the loss is not finite" : fmt::format("layer {} is not finite", layer);
  }
  // A sample that is not finite can leave a finite loss behind, since activations are capped. All ranks must hear of
  // it.
  gradient_.back() = static_cast<float>(problem_.empty() ? loss_ : std::numeric_limits<double>::quiet_NaN());
}

void Trainer::check_finite() {
  std::string culprit;
  norm_ = optimiser_.gradient_norm(gradient_, culprit);
  if (std::isfinite(norm_) && std::isfinite(gradient_.back())) return;
  if (problem_.empty())
    problem_ = culprit.empty() ? std::string("another learner rank's loss is not finite")
                               : fmt::format("the gradient of {} is not finite", culprit);
  throw RunError(fmt::format("training step {}: {}", optimiser_.step() + 1, problem_));
}

StepReport Trainer::step(const std::vector<const Sample*>& samples) {
  if (normaliser_.input_mean.empty()) throw RunError("the trainer was asked to step before it got its normaliser");
  if (samples.empty()) throw RunError("the trainer was asked to step without samples");
  const double start = MPI_Wtime();
  for (auto* tasks : {&pass_tasks_, &step_tasks_})
    for (Task& task : *tasks) task.seconds = 0;
  batch_ = samples;
  loss_ = 0;
  problem_.clear();
  std::fill(gradient_.begin(), gradient_.end(), 0.0f);
  network_.set_parameters(optimiser_.parameters().data());
  for (first_ = 0; first_ < batch_.size(); first_ += count_) {
    count_ = std::min<std::size_t>(options_.micro_batch, batch_.size() - first_);
    run(pass_tasks_);
  }
  run(step_tasks_);
  StepReport report;
  report.step = optimiser_.step();
  report.loss = gradient_.back();
  report.gradient_norm = norm_;
  report.learning_rate = optimiser_.learning_rate(report.step);
  report.seconds = MPI_Wtime() - start;
  for (auto* tasks : {&pass_tasks_, &step_tasks_})
    for (const Task& task : *tasks) report.tasks.push_back({task.name, task.seconds});
  return report;
}

ValidationReport Trainer::validate(const std::vector<const Sample*>& samples) {
  const int variables = layout_.targets();
  // Per rank: errors of each variable, then of zero, then the number of samples.
  std::vector<double> sums(variables + 2, 0.0);
  batch_ = samples;
  problem_.clear();
  network_.set_parameters(optimiser_.average().data());
  const std::size_t size = static_cast<std::size_t>(layout_.cells()) * network_.output_stride();
  for (first_ = 0; first_ < batch_.size(); first_ += count_) {
    count_ = std::min<std::size_t>(options_.micro_batch, batch_.size() - first_);
    gather_batch();
    predict();
    for (std::size_t k = 0; k < count_; ++k) {
      layout_.squared_error(prediction_.data() + k * size, network_.output_stride(), targets_[k], 1, errors_, nullptr);
      for (int v = 0; v < variables; ++v) sums[v] += errors_[v];
      layout_.squared_error(nullptr, 0, targets_[k], 1, errors_, nullptr);
      for (double e : errors_) sums[variables] += e;
    }
  }
  sums.back() = static_cast<double>(samples.size());
  if (!problem_.empty()) sums[0] = std::numeric_limits<double>::quiet_NaN();

  const int width = static_cast<int>(sums.size());
  std::vector<double> all(sums.size() * reducer_.ranks());
  std::vector<MPI_Request> requests(1);
  MPI_Iallgather(sums.data(), width, MPI_DOUBLE, all.data(), width, MPI_DOUBLE, reducer_.communicator(), &requests[0]);
  wait_with_deadline(requests, options_.deadline_seconds, "the validation over the learner ranks");
  std::fill(sums.begin(), sums.end(), 0.0);
  for (int rank = 0; rank < reducer_.ranks(); ++rank)
    for (int k = 0; k < width; ++k) sums[k] += all[rank * width + k];

  ValidationReport report;
  report.samples = static_cast<std::int64_t>(sums.back());
  const double count = std::max(1.0, sums.back());
  for (int v = 0; v < variables; ++v) {
    report.per_variable.push_back(sums[v] / count);
    report.loss += report.per_variable.back() / variables;
  }
  report.persistence = sums[variables] / (count * variables);
  if (!std::isfinite(report.loss))
    throw RunError(fmt::format("validation after step {}: {}", optimiser_.step(),
                               problem_.empty() ? "the loss is not finite" : problem_));
  return report;
}

Model Trainer::model(const std::string& provenance) const {
  if (normaliser_.input_mean.empty()) throw RunError("a model was asked for before the trainer got its normaliser");
  Model model;
  model.kind = options_.kind;
  model.network = spec_;
  model.inputs = sample_inputs();
  model.targets = sample_targets();
  model.statics = layout_.statics().variables;
  model.vector_frame = frames_.empty() ? "cartesian" : "panel";
  model.interval_seconds = options_.interval_seconds;
  model.normaliser = normaliser_;
  model.weights = optimiser_.average();
  model.training_step = optimiser_.step();
  model.provenance = provenance;
  model.software = TRAMONTANE_VERSION;
  model.make_self_test();
  return model;
}

}  // namespace tramontane
