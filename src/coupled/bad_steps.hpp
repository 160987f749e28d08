/// Training steps that meet NaN or infinity: let go, counted, and told from weights that are spoilt.
#pragma once

#include <functional>
#include <optional>

#include "ml/trainer.hpp"

namespace tramontane {

/// A step whose sample, loss or gradient is not finite changes nothing (Trainer::step); it is tried again with the next
/// batch. After kRestoreAfter such attempts in a row the weights themselves are under suspicion, and those of the last
/// good validation take their place; after kGiveUpAfter the training is lost. The same on every learner rank.
class BadSteps {
 public:
  static constexpr int kRestoreAfter = 3, kGiveUpAfter = 6;

  /// Called with the step's number and what was found, on every rank, and whether it arose on this one.
  using Note = std::function<void(std::int64_t step, const std::string& what, bool arose_here)>;
  BadSteps(Trainer& trainer, Note note)
      : trainer_(trainer), note_(std::move(note)) {}

  /// One step, with as many batches as it takes. Throws NotFinite when none helps.
  StepReport step(std::int64_t number, const std::function<std::vector<const Sample*>()>& next_batch);
  /// A validation; nothing when its loss is not finite although every sample is: then the last good weights are back.
  std::optional<ValidationReport> validate(std::int64_t step, const std::function<ValidationReport()>& validate);
  std::int64_t count() const { return count_; }

 private:
  void restore(std::int64_t step);

  Trainer& trainer_;
  Note note_;
  std::optional<OptimiserState> good_;
  std::int64_t count_ = 0;
  int bad_validations_ = 0;  ///< in a row
};

}  // namespace tramontane
