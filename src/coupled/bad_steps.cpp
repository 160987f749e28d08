#include "src/coupled/bad_steps.hpp"

namespace tramontane {

StepReport BadSteps::step(std::int64_t number, const std::function<std::vector<const Sample*>()>& next_batch) {
  for (int in_row = 1;; ++in_row) {
    try {
      return trainer_.step(next_batch());
    } catch (const NotFinite& error) {
      ++count_;
      note_(number, error.what(), error.arose_here);
      if (in_row == kGiveUpAfter) throw;
      if (in_row == kRestoreAfter) restore(number - 1);
    }
  }
}

std::optional<ValidationReport> BadSteps::validate(std::int64_t step,
                                                   const std::function<ValidationReport()>& validate) {
  try {
    const ValidationReport report = validate();
    good_ = trainer_.state();
    bad_validations_ = 0;
    return report;
  } catch (const NotFinite& error) {
    ++count_;
    note_(step, error.what(), error.arose_here);
    if (++bad_validations_ == 2) throw;
    restore(step);
    return {};
  }
}

/// The schedule goes on from where it was.
void BadSteps::restore(std::int64_t step) {
  if (!good_) return;
  OptimiserState state = *good_;
  state.step = step;
  trainer_.restore(state);
  note_(step, "the weights of the last good validation are taken back", false);
}

}  // namespace tramontane
