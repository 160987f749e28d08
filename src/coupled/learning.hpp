/// What learner ranks do: take samples in, train, validate, and hand out a model.
#pragma once

#include <functional>
#include <string>

#include "ml/trainer.hpp"
#include "src/coupled/sample_source.hpp"
#include "src/deck/deck.hpp"
#include "src/output/metrics.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// What a learner knows of the samples to come.
struct LearningPlan {
  int n = 0;                                  ///< coarse grid
  double interval = 3600;                     ///< s
  std::int64_t training = 0, validation = 0;  ///< samples of all learner ranks
  std::string provenance = "{}";
};

/// What the program may want to do while training runs.
struct LearningHooks {
  std::function<void(std::int64_t step)> after_step;  ///< on every learner rank
  std::function<void()> source_ended;                 ///< once, as soon as the last sample has been taken
};

struct LearningOutcome {
  Model model;
  LearnerSummary summary;
};

/// Trains for learner.steps steps. Training starts when learner.watermark samples are in; the normaliser is made from
/// those. With learner.deterministic the number of a step alone decides which samples it may draw from, so that a
/// trajectory of weights does not depend on when samples arrived and an archive reproduces what a stream did, bit for
/// bit; otherwise whatever has arrived is used. A signal ends training after the step at hand; the model is what it is
/// then. Collective over `learners`; `metrics` on its rank 0 only.
LearningOutcome learn(const Deck& deck, const LearningPlan& plan, SampleSource& source, MPI_Comm learners,
                      MetricsWriter* metrics, const LearningHooks& hooks);

/// Static input channels of the coarse grid: position on the sphere and on the panel; the cell areas that weigh the
/// loss; the frames of the panels.
StaticFields surrogate_statics(int n);

}  // namespace tramontane
