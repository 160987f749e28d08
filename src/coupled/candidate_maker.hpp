/// When a learner offers its weights to the solver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "ml/trainer.hpp"
#include "src/coupled/candidate.hpp"
#include "src/deck/deck.hpp"
#include "src/program/emergency.hpp"

namespace tramontane {

/// What a training that goes on must know of its offers.
struct CandidateMakerState {
  nlohmann::ordered_json facts;
  /// Offers without a verdict yet, by version: they are made again, since nobody knows how far they got.
  std::vector<std::pair<std::int64_t, std::vector<std::byte>>> unanswered;
};

/// On every learner rank; the first one has the sink. Every gate.every steps the weights are offered if their held-out
/// loss beats that of the version in use, as the last verdict told it, and the last offer has left this rank. The last
/// weights are offered in any case: they are to be kept.
///
/// With learner.deterministic nothing may depend on when a verdict comes: the solver alone compares losses, and offers
/// are at most kDeterministicOffers, of the second half of training, in which all samples have been admitted and the
/// lessons are as good as over, so that little memory waits for the solver.
class CandidateMaker {
 public:
  static constexpr std::int64_t kDeterministicOffers = 8;

  /// @param sink null but on the first learner rank; @param steps of the whole training; @param first_version number
  /// of the first offer: one above the last that this solver has seen
  CandidateMaker(const Deck& deck, std::int64_t steps, CandidateSink* sink, std::int64_t first_version = 1);

  /// Whether this step needs a validation. The same on every rank.
  bool is_due(std::int64_t step) const;
  /// After a validation. `make` gives the model as it is now, which is offered or kept for an emergency.
  void validated(std::int64_t step, const ValidationReport& report, const std::function<Model()>& make);
  /// The last weights. Waits until they have been taken; throws RunError past the deadline. (Of a training that goes on
  /// after its last offer they have been offered again already.)
  void offer_last(Model model);

  /// First learner rank.
  CandidateMakerState state();
  /// Takes up the offers of a training that goes on, and makes those again that had no verdict. Call it first. Other
  /// ranks may be given an empty state.
  void restore(CandidateMakerState state);

 private:
  bool is_worth_offering(std::int64_t step, const ValidationReport& report);
  void offer(Model model, bool is_last);
  void keep(std::int64_t step, const std::vector<std::byte>& model);
  void take_verdicts();

  const Deck& deck_;
  std::int64_t steps_, every_;
  CandidateSink* sink_;
  std::int64_t next_version_;
  std::optional<EmergencyFile> emergency_;  ///< the weights of the last validation, should the watchdog end the job
  double current_loss_ = 1;  ///< relative held-out loss of the version in use
  std::int64_t validated_step_ = -1;
  ValidationReport validation_;
  bool has_offered_last_ = false;
  std::vector<std::pair<std::int64_t, std::vector<std::byte>>> unanswered_;
};

}  // namespace tramontane
