/// The live hybrid: the coarse solver with the weights in use, running freely beside each lesson.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/sample.hpp"
#include "src/coupled/companion_run.hpp"
#include "src/coupled/fields_on_demand.hpp"

namespace tramontane {

/// Starts from the fine state at the start of every lesson, and anew when other weights come into use; is held against
/// the fine state at every sample, and so is the coarse solver alone, from the same start.
class LiveHybrid {
 public:
  LiveHybrid(const Deck& deck, SolverPair& solvers);

  struct Report {
    double lead_hours = 0;
    double error = 0, coarse_error = 0;  ///< root of the error energy, m3/2 s-1
    double fallback_fraction = 0;        ///< of cells in which the guard replaced the last correction
    std::string bad;                     ///< "", or why the weights count as bad
    double ratio() const { return coarse_error > 0 ? error / coarse_error : 1; }
  };
  /// The fine state on the coarse grid at a sample's time, and the correction in use (null: none) with its version, which
  /// no other has. Nothing at a start and without a correction. Collective.
  std::optional<Report> see(const SampleInfo& info, const FieldsOnDemand& truth, HybridCorrection* correction,
                            std::int64_t version);

 private:
  void start(const SampleInfo& info, const CellFields& truth);

  const Deck& deck_;
  SolverPair& solvers_;
  CompanionRun hybrid_, alone_;
  // Not its address: a new version may get that of one which is gone, and on some ranks only.
  std::int64_t followed_ = 0;  ///< version that runs now; 0: none
  int lesson_ = -1;
  double started_ = 0, time_ = 0, bad_seconds_ = 0;  ///< model time, s
};

}  // namespace tramontane
