#include "ml/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/exact_sums.hpp"
#include "kernels/fault_injection.hpp"

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
      learners_(learners),
      pass_(make_training_pass(options.precision, backend, graph_, Tiling(spec_.n, spec_.tiles_per_edge, 1),
                               checked(options.micro_batch), options.backend)),
      memory_(pass_->memory()),
      layout_(Tiling(spec_.n, spec_.tiles_per_edge, 1), std::move(statics), static_cast<int>(sample_inputs().size()),
              spec_.outputs, memory_),
      optimiser_(graph_, options.optimiser, initial_parameters(graph_, options.seed), memory_),
      gradient_("gradient of a pass", graph_.parameters(), memory_),
      sums_("sums of gradients", kExactStatus + graph_.parameters(), memory_),
      reduced_("reduced gradient", kExactStatus + graph_.parameters(), memory_),
      buckets_(gradient_buckets(graph_, options.bucket_bytes)),
      reducer_(make_gradient_reducer(learners_.get(), {memory_, sums_.data(), reduced_.data(), buckets_},
                                     options.deadline_seconds)) {
  list_tasks();
  pass_->read_from(layout_);
}

void Trainer::list_tasks() {
  step_tasks_ = {
      {"stage", [this] { stage(); }},
      {"schedule", [this] { optimiser_.begin_step(); }},
  };
  start_tasks_ = {
      {"weights", [this] { pass_->set_parameters(optimiser_.parameters()); }},
  };
  pass_tasks_ = {
      {"gather", [this] { gather(); }},
      {"forward", [this] { pass_->forward(); }},
      {"loss", [this] { evaluate_loss(); }},
      {"backward", [this] { backward(); }},  // starts to reduce each bucket that is complete
  };
  end_tasks_ = {
      {"reduce", [this] { reduce(); }},
      {"clip", [this] { optimiser_.clip(reduced_.data()); }},
      {"update", [this] { optimiser_.update(reduced_.data()); }},
  };
}

void Trainer::run(std::vector<Task>& tasks) {
  for (Task& task : tasks) {
    const double start = MPI_Wtime();
    task.run();
    task.seconds += MPI_Wtime() - start;
  }
}

template <class Pass>
void Trainer::for_passes(const Pass& pass) {
  for (first_ = 0; first_ < batch_.size(); first_ += count_) {
    count_ = std::min<std::size_t>(options_.micro_batch, batch_.size() - first_);
    pass();
  }
}

void Trainer::set_normaliser(Normaliser normaliser) {
  if (normaliser.input_mean.size() != sample_inputs().size() || normaliser.target_std.size() != sample_targets().size())
    throw InputError(fmt::format("the normaliser has {} inputs and {} targets, the samples {} and {}",
                                 normaliser.input_mean.size(), normaliser.target_std.size(), sample_inputs().size(),
                                 sample_targets().size()));
  normaliser_ = std::move(normaliser);
  layout_.set_normaliser(normaliser_);
}

void Trainer::stage() {
  problem_.clear();
  for (const Sample* sample : batch_)
    if (problem_.empty()) problem_ = layout_.misfit(*sample);
  in_space(memory_, [&](auto space) { reset_status<decltype(space)>(!problem_.empty(), sums_.data()); });
  if (problem_.empty()) layout_.stage(batch_);
}

void Trainer::gather() {
  pass_->gather(first_, count(), sums_.data() + kExactNotFinite);
}

void Trainer::evaluate_loss() {
  const double scale = 1 / (global_batch() * layout_.targets());
  const MemoryBuffer<double>& errors = pass_->loss(first_, count(), scale);
  in_space(memory_, [&](auto space) {
    add_losses<decltype(space)>(count(), errors.data(), scale, kExactLargestLoss / global_batch(), sums_.data());
  });
}

void Trainer::backward() {
  bucket_ = 0;
  pass_->backward(gradient_.data(), [this](int begin, int end) { blocks_done(begin, end); });
  blocks_done(0, 0);
}

/// Blocks are complete from the last one down to `begin`: adds up the buckets that are now full while they are in
/// cache, and hands them over if this is the last pass.
void Trainer::blocks_done(int begin, int /*end*/) {
  const bool last = last_pass();
  for (; bucket_ < buckets_.size() && begin <= buckets_[bucket_].first_block; ++bucket_) {
    const std::size_t from = std::max(buckets_[bucket_].begin, kExactStatus) - kExactStatus;
    if (wild_) spoil(from);
    in_space(memory_, [&](auto space) {
      add_exactly<decltype(space)>(from, buckets_[bucket_].end - kExactStatus,
                                   static_cast<float>(kExactLargest / global_batch()), first_ == 0, gradient_.data(),
                                   sums_.data() + kExactStatus, sums_.data() + kExactNotFinite);
    });
    if (last) reducer_->start(bucket_);
  }
  if (last) reducer_->progress();
}

void Trainer::reduce() {
  // A batch that could not be staged had no passes; the other ranks wait to hear of it.
  if (!problem_.empty())
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) reducer_->start(bucket);
  reducer_->finish();
}

void Trainer::read_status() {
  reducer_->await();
  const std::int64_t step = optimiser_.step(), unread = std::exchange(unread_, 0);
  status_ = optimiser_.read_status();
  if (status_.failed_step == 0) return;
  if (status_.failed_step == step) {
    const std::string found = diagnosis();
    throw NotFinite(fmt::format("training step {}: {}", step,
                                found.empty() ? "a value on another learner rank is not finite" : found),
                    !found.empty());
  }
  throw NotFinite(
      fmt::format("training step {}: a sample, the loss or the gradient is not finite; this was noticed only "
                  "now, {} steps after the last report",
                  status_.failed_step, unread));
}

void Trainer::check_unread() const {
  if (unread_ == 0) return;
  const StepStatus status = optimiser_.peek_status();
  if (status.failed_step != 0)
    throw NotFinite(
        fmt::format("training step {}: a sample, the loss or the gradient is not finite", status.failed_step));
}

/// What was not finite in the step that just failed. Its passes run once more, as the weights are still the same, and
/// are looked at layer by layer: a step that goes well pays nothing for this. "" if nothing here was.
std::string Trainer::diagnosis() {
  if (!problem_.empty()) return problem_;
  for (const Sample* sample : batch_)
    if (const std::string problem = layout_.not_finite(*sample); !problem.empty()) return problem;
  std::string found;
  for_passes([&] {
    if (!found.empty()) return;
    gather();
    pass_->forward();
    const std::string layer = pass_->first_layer_not_finite();
    evaluate_loss();
    pass_->backward(gradient_.data());
    if (wild_) spoil(0);
    const std::string block = not_finite_block();
    if (!layer.empty())
      found = fmt::format("layer {} is not finite", layer);
    else if (!block.empty())
      found = fmt::format("the gradient of {} is not finite", block);
  });
  return found;
}

/// Puts what a test ordered into the gradient of a pass.
void Trainer::spoil(std::size_t offset) {
  if (memory_ == Memory::host) gradient_.data()[offset] = *wild_;
}

/// Name of the first block of the pass's gradient that is not finite, or "". Leaves the gradient zero, as a pass finds
/// it.
std::string Trainer::not_finite_block() {
  std::vector<float> gradient(graph_.parameters());
  gradient_.copy_to_host(gradient.data(), gradient.size());
  std::string found;
  for (const ParameterBlock& block : graph_.blocks) {
    const float* g = gradient.data() + block.offset;
    if (found.empty() && !std::all_of(g, g + block.size, [](float v) { return std::isfinite(v); })) found = block.name;
  }
  std::fill(gradient.begin(), gradient.end(), 0.0f);
  gradient_.copy_from_host(gradient.data(), gradient.size());
  return found;
}

/// A batch that could not be staged makes a step of its own kind.
bool Trainer::records() const {
  return options_.graph && StepGraph::available() && memory_ == Memory::device && reducer_->on_device() &&
         problem_.empty();
}

/// The part of a step that runs in the back end's memory. Nothing here but kernels' calls: on a device it is recorded
/// once and then launched as a whole.
void Trainer::queue_step() {
  run(start_tasks_);
  if (problem_.empty()) for_passes([this] { run(pass_tasks_); });
  run(end_tasks_);
}

StepReport Trainer::step(const std::vector<const Sample*>& samples, bool report) {
  if (normaliser_.input_mean.empty()) throw RunError("the trainer was asked to step before it got its normaliser");
  if (samples.empty()) throw RunError("the trainer was asked to step without samples");
  const double start = MPI_Wtime();
  const auto lists = {&step_tasks_, &start_tasks_, &pass_tasks_, &end_tasks_};
  for (auto* tasks : lists)
    for (Task& task : *tasks) task.seconds = 0;
  reducer_->await();
  batch_ = samples;
  wild_ = wild_value(fault_at("gradient", ++attempts_));
  run(step_tasks_);
  if (std::exchange(recorded_generation_, layout_.generation()) != layout_.generation()) recorded_.clear();
  if (records())
    recorded_.run(static_cast<int>(batch_.size()), [this] { queue_step(); });
  else
    queue_step();
  ++unread_;
  if (report) read_status();
  StepReport out;
  out.step = optimiser_.step();
  constexpr double unread = std::numeric_limits<double>::quiet_NaN();
  out.loss = report ? status_.loss : unread;
  out.gradient_norm = report ? std::sqrt(status_.norm_squared) : unread;
  out.learning_rate = optimiser_.learning_rate(out.step);
  out.seconds = MPI_Wtime() - start;
  for (auto* tasks : lists)
    for (const Task& task : *tasks) out.tasks.push_back({task.name, task.seconds});
  return out;
}

ValidationReport Trainer::validate(const std::vector<const Sample*>& samples) {
  const int variables = layout_.targets();
  // Per rank: errors of each variable, then of zero, then the number of samples.
  std::vector<double> sums(variables + 2, 0.0);
  check_unread();
  batch_ = samples;
  problem_.clear();
  for (const Sample* sample : batch_) {
    if (problem_.empty()) problem_ = layout_.misfit(*sample);
    if (problem_.empty()) problem_ = layout_.not_finite(*sample);
  }
  pass_->set_parameters(optimiser_.average());
  std::vector<double> errors;
  auto add = [&](const MemoryBuffer<double>& found, auto&& index) {
    errors.resize(count_ * variables);
    found.copy_to_host(errors.data(), errors.size());
    for (std::size_t k = 0; k < errors.size(); ++k) sums[index(k)] += errors[k];
  };
  const auto first = batch_.begin();
  if (problem_.empty())
    for_passes([&] {
      // Staged pass by pass: a validation set may be larger than what a device holds beside the network.
      layout_.stage(
          {first + static_cast<std::ptrdiff_t>(first_), first + static_cast<std::ptrdiff_t>(first_ + count_)});
      pass_->gather(0, count(), sums_.data() + kExactNotFinite);
      pass_->forward();
      add(pass_->errors(0, count(), variables), [&](std::size_t k) { return k % variables; });
      add(layout_.errors<float>(0, count(), variables, 0, nullptr), [&](std::size_t) { return variables; });
    });
  sums.back() = static_cast<double>(samples.size());
  if (!problem_.empty()) sums[0] = std::numeric_limits<double>::quiet_NaN();

  const int width = static_cast<int>(sums.size());
  std::vector<double> all(sums.size() * learners_.size());
  std::vector<MPI_Request> requests(1);
  MPI_Iallgather(sums.data(), width, MPI_DOUBLE, all.data(), width, MPI_DOUBLE, learners_.get(), &requests[0]);
  wait_with_deadline(requests, options_.deadline_seconds, "the validation over the learner ranks",
                     learners_.get());
  std::fill(sums.begin(), sums.end(), 0.0);
  for (int rank = 0; rank < learners_.size(); ++rank)
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
    throw NotFinite(fmt::format("validation after step {}: {}", optimiser_.step(),
                               problem_.empty() ? "the loss is not finite" : problem_));
  return report;
}

std::vector<float> Trainer::averaged_weights() const {
  check_unread();
  return optimiser_.average_on_host();
}

OptimiserState Trainer::state() const {
  check_unread();
  return optimiser_.state();
}

Model Trainer::model(const std::string& provenance) const {
  check_unread();
  if (normaliser_.input_mean.empty()) throw RunError("a model was asked for before the trainer got its normaliser");
  Model model;
  model.kind = options_.kind;
  model.network = spec_;
  model.inputs = sample_inputs();
  model.targets = sample_targets();
  model.statics = layout_.statics().variables;
  model.vector_frame = layout_.frames().empty() ? "cartesian" : "panel";
  model.interval_seconds = options_.interval_seconds;
  model.normaliser = normaliser_;
  model.weights = optimiser_.average_on_host();
  model.training_step = optimiser_.step();
  model.provenance = provenance;
  model.software = TRAMONTANE_VERSION;
  model.make_self_test();
  return model;
}

}  // namespace tramontane
