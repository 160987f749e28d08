#include "src/coupled/candidate_maker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "kernels/fault_injection.hpp"

namespace tramontane {

CandidateMaker::CandidateMaker(const Deck& deck, std::int64_t steps, CandidateSink* sink, std::int64_t first_version)
    : deck_(deck), steps_(steps), every_(deck.gate.every), sink_(sink), next_version_(first_version) {
  if (sink) emergency_.emplace(deck.output.dir + "/model-emergency.h5");
  if (deck.learner.deterministic && every_ > 0)
    while (steps_ / 2 / every_ > kDeterministicOffers) every_ += deck.gate.every;
}

bool CandidateMaker::is_due(std::int64_t step) const {
  if (every_ == 0 || step == 0 || step >= steps_ || step % every_ != 0) return false;
  return !deck_.learner.deterministic || 2 * step >= steps_;
}

void CandidateMaker::validated(std::int64_t step, const ValidationReport& report, const std::function<Model()>& make) {
  validated_step_ = step;
  validation_ = report;
  if (!sink_) return;
  if (is_worth_offering(step, report))
    offer(make(), false);
  else if (step > 0)
    keep(step, make().to_bytes());
}

bool CandidateMaker::is_worth_offering(std::int64_t step, const ValidationReport& report) {
  if (!is_due(step)) return false;
  // Held-out lessons are to come: what nobody could look at is not offered.
  if (report.samples == 0 && !deck_.teach.validation.empty()) return false;
  if (deck_.learner.deterministic) return true;
  take_verdicts();
  return sink_->is_free() && !(report.samples > 0 && report.loss >= current_loss_ * report.persistence);
}

/// Should the watchdog end the job.
void CandidateMaker::keep(std::int64_t step, const std::vector<std::byte>& model) {
  emergency_->keep(std::make_shared<const std::vector<std::byte>>(model), fmt::format("the weights of step {}", step));
}

void CandidateMaker::offer_last(Model model) {
  if (!sink_) return;
  if (!has_offered_last_) offer(std::move(model), true);
  sink_->finish();
}

void CandidateMaker::offer(Model model, bool is_last) {
  CandidateFacts facts;
  facts.version = next_version_++;
  facts.training_step = model.training_step;
  facts.is_last = is_last;
  if (validated_step_ == model.training_step && validation_.samples > 0) {
    facts.held_out_loss = validation_.loss;
    facts.persistence_loss = validation_.persistence;
  }
  write_facts(model, facts);
  // Faults that tests order: weights that are no numbers, are good for nothing, or are spoilt on their way.
  const Fault fault = fault_at("candidate", facts.version);
  if (const auto wild = wild_value(fault)) model.weights.front() = *wild;
  if (fault == Fault::fail) {
    for (float& weight : model.weights) weight *= 3;
    model.make_self_test();
  }
  std::vector<std::byte> bytes = model.to_bytes();
  keep(model.training_step, bytes);
  if (fault == Fault::corrupt) bytes[bytes.size() / 2] ^= std::byte{1};
  has_offered_last_ = is_last;
  unanswered_.emplace_back(facts.version, bytes);
  sink_->publish(std::move(bytes));
}

void CandidateMaker::take_verdicts() {
  while (const auto verdict = sink_->verdict()) {
    current_loss_ = verdict->current_loss;
    // One that was passed over for a newer one gets no verdict of its own.
    std::erase_if(unanswered_, [&](const auto& offer) { return offer.first <= verdict->version; });
  }
}

CandidateMakerState CandidateMaker::state() {
  if (sink_) take_verdicts();
  CandidateMakerState state;
  state.facts = {{"next_version", next_version_},
                 {"current_loss", current_loss_},
                 {"validated_step", validated_step_},
                 {"validated_samples", validation_.samples},
                 {"validated_loss", validation_.loss},
                 {"validated_persistence", validation_.persistence},
                 {"has_offered_last", has_offered_last_},
                 {"unanswered", nlohmann::ordered_json::array()}};
  for (const auto& [version, bytes] : unanswered_) state.facts["unanswered"].push_back(version);
  state.unanswered = unanswered_;
  return state;
}

void CandidateMaker::restore(CandidateMakerState state) {
  if (state.facts.empty()) return;
  state.facts.at("next_version").get_to(next_version_);
  state.facts.at("current_loss").get_to(current_loss_);
  state.facts.at("validated_step").get_to(validated_step_);
  state.facts.at("validated_samples").get_to(validation_.samples);
  state.facts.at("validated_loss").get_to(validation_.loss);
  state.facts.at("validated_persistence").get_to(validation_.persistence);
  state.facts.at("has_offered_last").get_to(has_offered_last_);
  unanswered_ = std::move(state.unanswered);
  if (sink_)
    for (const auto& [version, bytes] : unanswered_) sink_->publish(bytes);
}

}  // namespace tramontane
