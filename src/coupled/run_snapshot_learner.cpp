#include "src/coupled/run_snapshot_learner.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "src/checkpoint/sealed_file.hpp"
#include "src/output/metrics.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

using nlohmann::ordered_json;

/// Format of a learner's part.
constexpr int kLearnerPartFormat = 301;

std::string candidate_part(std::int64_t version) {
  return fmt::format("candidate-{}", version);
}

/// The counters of reservoir and batches, for writing and reading alike.
template <class State, class Visit>
void for_each_count(State& s, const Visit& visit) {
  visit("draw_counter", s.reservoir.draw_counter);
  visit("accepted", s.reservoir.accepted);
  visit("evicted", s.reservoir.evicted);
  visit("refused", s.reservoir.refused);
  visit("drawn", s.reservoir.drawn);
  visit("validation_dropped", s.reservoir.validation_dropped);
  visit("uses", s.reservoir.uses);
  visit("order", s.reservoir.order);
  visit("is_filled", s.is_filled);
  visit("step", s.step);
  visit("next_number", s.next_number);
  visit("start_number", s.start_number);
  visit("arrived_samples", s.arrived.samples);
  visit("arrived_mean", s.arrived.mean);
  visit("arrived_squares", s.arrived.squares);
}

}  // namespace

std::unique_ptr<LearnerPast> read_learner_past(const std::string& snapshot, int learner, int n) {
  auto past = std::make_unique<LearnerPast>();
  try {
    const ordered_json in = ordered_json::parse(read_behind_seal(snapshot + "/" + learner_part(learner)));
    ReservoirBatchesState& state = past->batches;
    for_each_count(state, [&](const char* name, auto& value) { in.at(name).get_to(value); });
    for (const auto& bits : in.at("distribution"))
      state.distribution.push_back(std::bit_cast<double>(bits.get<std::uint64_t>()));
    for (const auto& d : in.at("deliveries")) state.deliveries.push_back({d.at(0), d.at(1)});
    in.at("records").get_to(past->record_count);
    in.at("idle_seconds").get_to(past->idle_seconds);
    const std::filesystem::path folder = std::filesystem::path(snapshot).parent_path();
    std::optional<SampleStore> store;  // not touched when nothing is in it
    const auto read = [&](const char* name, std::vector<const Sample*>& list) {
      for (const auto& pair : in.at(name)) {
        const std::int64_t number = pair.at(0), record = pair.at(1);
        if (!store) store.emplace((folder / learner_samples(learner)).string(), n, past->record_count);
        past->samples.push_back(std::make_unique<Sample>(store->read(record, number)));
        past->records[number] = record;
        list.push_back(past->samples.back().get());
      }
    };
    read("training", state.reservoir.training);
    read("validation", state.reservoir.validation);
    read("waiting", state.waiting);
    if (std::filesystem::exists(snapshot + "/" + kTrainingPart))
      past->training = read_training_checkpoint(snapshot + "/" + kTrainingPart);
    if (learner != 0) return past;
    in.at("metrics").get_to(past->metrics);
    past->candidates.facts = in.at("candidates");
    for (const auto& version : past->candidates.facts.at("unanswered")) {
      const std::string text = read_behind_seal(snapshot + "/" + candidate_part(version));
      const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
      past->candidates.unanswered.emplace_back(version.get<std::int64_t>(),
                                               std::vector<std::byte>(bytes, bytes + text.size()));
    }
  } catch (const nlohmann::json::exception& error) {
    throw RunError(fmt::format("{}/{}: {}", snapshot, learner_part(learner), error.what()));
  }
  return past;
}

LearnerSnapshots::LearnerSnapshots(const CommandContext& context, MPI_Comm learners, SnapshotLink& link,
                                   std::string metrics_path, const LearnerPast* past, const std::string& continued)
    : deck_(context.deck),
      learners_(learners),
      rank_(rank_in(learners)),
      link_(link),
      store_(context.deck),
      metrics_path_(std::move(metrics_path)) {
  // A snapshot of another folder has its samples there: here they are written anew.
  std::error_code error;
  if (!past || !std::filesystem::equivalent(std::filesystem::path(continued).parent_path(), store_.folder(), error))
    return;
  records_ = past->records;
  record_count_ = past->record_count;
}

bool LearnerSnapshots::is_ordered() {
  if (stop_requested()) link_.tell_of_signal();
  if (!order_ && !is_over_) {
    order_ = link_.order();
    if (order_ && order_->word == SnapshotWord::end) {
      is_over_ = true;
      order_.reset();
    }
  }
  return order_.has_value();
}

SnapshotOrder LearnerSnapshots::next_order(SnapshotWord word, const std::function<void()>& meanwhile) {
  const double began = MPI_Wtime();
  const WaitScope wait("the first solver rank's word about a snapshot", MPI_COMM_NULL, WaitScope::kAll,
                       deck_.stream.deadline);
  while (true) {
    meanwhile();
    std::optional<SnapshotOrder> order = std::exchange(order_, std::nullopt);
    if (!order) order = link_.order();
    if (order && order->word != word)
      throw RunError(fmt::format("learner {} got another word about a snapshot than it waited for", rank_));
    if (order) return *order;
    if (MPI_Wtime() - began > deck_.stream.deadline)
      throw RunError(fmt::format("learner {} has waited {:g} s for the solver's word about a snapshot", rank_,
                                 deck_.stream.deadline));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

bool LearnerSnapshots::serve(ReservoirBatches& batches, CandidateMaker& candidates,
                             const std::optional<TrainingCheckpoint>& training, double idle_seconds) {
  sign_of_life("snapshot", next_++);
  const auto take_in = [&] { batches.take_in_all(); };
  const SnapshotOrder order = next_order(SnapshotWord::take, take_in);
  next_order(SnapshotWord::drained, take_in);
  SnapshotAnswer answer;
  answer.number = order.number;
  answer.step = training ? training->optimiser.step : 0;
  try {
    write(store_.aside(order.number), batches, candidates, training, idle_seconds);
    answer.is_written = 1;
  } catch (const RunError& error) {
    std::string(error.what()).copy(answer.why, SnapshotAnswer::kWhy - 1);
  }
  link_.answer(answer);
  is_stopped_ = order.stop != 0;
  return is_stopped_;
}

std::int64_t LearnerSnapshots::record_of(const Sample& sample) {
  const auto found = records_.find(sample.info.number);
  if (found != records_.end()) return found->second;
  if (!samples_)
    samples_ = std::make_unique<SampleStore>(store_.folder() + "/" + learner_samples(rank_), sample.n, record_count_);
  return records_[sample.info.number] = samples_->append(sample);
}

void LearnerSnapshots::write(const std::string& folder, ReservoirBatches& batches, CandidateMaker& candidates,
                             const std::optional<TrainingCheckpoint>& training, double idle_seconds) {
  ReservoirBatchesState state = batches.state();
  // A training that has taken its last step has no more use for samples.
  if (training && training->optimiser.step >= deck_.learner.steps) {
    state.reservoir.training = state.reservoir.validation = state.waiting = {};
    state.reservoir.uses.clear();
    state.reservoir.order.clear();
    state.reservoir.evicted = state.reservoir.accepted;  // they are let go
  }
  ordered_json out;
  for_each_count(state, [&](const char* name, const auto& value) { out[name] = value; });
  std::unordered_map<std::int64_t, std::int64_t> live;
  const auto list = [&](const char* name, const std::vector<const Sample*>& samples) {
    out[name] = ordered_json::array();
    for (const Sample* sample : samples) {
      const std::int64_t record = record_of(*sample);
      live[sample->info.number] = record;
      out[name].push_back({sample->info.number, record});
    }
  };
  list("training", state.reservoir.training);
  list("validation", state.reservoir.validation);
  list("waiting", state.waiting);
  if (samples_) {
    samples_->sync();
    record_count_ = samples_->records();
  }
  records_ = std::move(live);  // what is held no longer will not be asked for again
  out["deliveries"] = ordered_json::array();
  for (const Delivery& d : state.deliveries) out["deliveries"].push_back({d.number, d.step});
  // As bits: least and greatest values begin at infinity, which JSON does not have.
  out["distribution"] = ordered_json::array();
  for (const double value : state.distribution) out["distribution"].push_back(std::bit_cast<std::uint64_t>(value));
  out["records"] = record_count_;
  out["idle_seconds"] = idle_seconds;
  if (rank_ == 0) {
    const CandidateMakerState offers = candidates.state();
    out["metrics"] = metrics_text(metrics_path_);
    out["candidates"] = offers.facts;
    for (const auto& [version, bytes] : offers.unanswered)
      write_sealed_file(folder + "/" + candidate_part(version), kLearnerPartFormat, bytes);
    if (training) {
      TrainingCheckpoint checkpoint = *training;
      checkpoint.version = TRAMONTANE_VERSION;
      write_training_checkpoint(folder + "/" + kTrainingPart, checkpoint);
    }
  }
  write_sealed_file(folder + "/" + learner_part(rank_), kLearnerPartFormat, out.dump());
}

}  // namespace tramontane
