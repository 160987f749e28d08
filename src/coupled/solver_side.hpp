/// What the solver ranks of a coupled run do.
#pragma once

#include <memory>

#include "src/archive/archive_writer.hpp"
#include "src/coupled/model_handover.hpp"
#include "src/coupled/solver_pair.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/metrics.hpp"
#include "src/program/commands.hpp"
#include "src/stream/stream_producer.hpp"

namespace tramontane {

/// The archive that stream.archive asks for; nothing when it is none. Collective over the solvers. Throws InputError.
std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling);

/// What the solver ranks do, in order: stream lessons, run reference forecasts while the learner trains, take the
/// model, run the hybrid, score. Fills in the solver's, the stream's and the forecast's groups of the summary.
class SolverSide {
 public:
  SolverSide(const CommandContext& context, SolverPair& pair, ArchiveWriter* archive, ModelHandover& handover,
             MetricsWriter* metrics)
      : context_(context),
        deck_(context.deck),
        pair_(pair),
        archive_(archive),
        handover_(handover),
        metrics_(metrics) {}

  /// Returns false when a signal ended it early: then there are no forecasts.
  bool run(Summary& summary);

 private:
  void stream_lessons(StreamProducer& producer);
  void report_lesson(int lesson);
  /// A full disk must not end the run: the loss is said, the stream goes on.
  void archive_sample(const SampleInfo& info, const std::vector<const float*>& payload);

  const CommandContext& context_;
  const Deck& deck_;
  SolverPair& pair_;
  ArchiveWriter* archive_;  ///< none when the deck names none
  ModelHandover& handover_;
  MetricsWriter* metrics_;
  BudgetWatch watch_;
};

}  // namespace tramontane
