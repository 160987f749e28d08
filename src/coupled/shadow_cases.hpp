/// Shadow forecasts: short forecasts from states of the lessons, whose truth the fine solver has already made.
#pragma once

#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "src/coupled/companion_run.hpp"
#include "src/coupled/fields_on_demand.hpp"
#include "src/coupled/gate_state.hpp"

namespace tramontane {

/// Keeps coarse-grained fine states of some lessons, at the start and at every sample for gate.hours, and runs the
/// coarse solver with a correction from that start along them. Lessons of held-out months, the first gate.cases of
/// them; of taught months when the deck holds none out. Memory is known beforehand and taken as states come.
class ShadowCases {
 public:
  ShadowCases(const Deck& deck, SolverPair& solvers);

  /// The fine state on the coarse grid at a sample's time; samples in order. Collective.
  void see(const SampleInfo& info, const FieldsOnDemand& truth);

  /// Whether there will be cases at all: gate.hours above 0 and lessons of two samples.
  bool is_possible() const { return leads_ > 0; }
  /// Cases that are complete.
  int size() const { return static_cast<int>(coarse_errors_.size()); }
  int leads() const { return leads_; }
  double hours() const;
  /// Bytes of all cases of the deck over all ranks.
  std::size_t bytes() const;

  struct Outcome {
    std::string trouble;  ///< "", or why the forecast had to be given up
    double score = 0;     ///< root of the error energy over the leads, over that of the coarse solver alone
  };
  /// One forecast with a correction. Collective; the same on every rank.
  Outcome run(int number, HybridCorrection& correction);

  /// For a snapshot: on the first rank; empty elsewhere. Collective.
  ShadowCasesState state() const;
  /// Goes on with cases of any ranks and tiles. The first rank's state counts. Collective.
  void restore(const ShadowCasesState& state);

 private:
  struct Case {
    CellFields start;
    std::vector<std::vector<float>> truths;  ///< (lead) depth, velocity x, y, z
  };
  bool is_wanted(const SampleInfo& info) const;
  Outcome error_of(const Case& one, HybridCorrection* correction);

  const Deck& deck_;
  SolverPair& solvers_;
  CompanionRun companion_;
  int leads_ = 0;
  std::vector<Case> cases_;
  std::vector<double> coarse_errors_;  ///< of the complete cases: root of the error energy over the leads
  int lesson_ = -1;                    ///< that the last case belongs to
};

}  // namespace tramontane
