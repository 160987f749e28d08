/// What the solver ranks of a coupled run do.
#pragma once

#include <memory>
#include <optional>

#include "src/archive/archive_writer.hpp"
#include "src/coupled/gate.hpp"
#include "src/coupled/run_snapshot_resume.hpp"
#include "src/coupled/run_snapshot_solver.hpp"
#include "src/coupled/sample_tiles.hpp"
#include "src/coupled/solver_pair.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/metrics.hpp"
#include "src/program/commands.hpp"
#include "src/stream/frame_path.hpp"
#include "src/stream/stream_producer.hpp"

namespace tramontane {

/// The archive that stream.archive asks for; nothing when it is none. Of a run that goes on from a snapshot: the one that
/// is there, brought back to the snapshot's samples; nothing when it was complete then, or had failed; one that can not be
/// read any more is set aside and a new one begun, which is said, or with exchange.dir ArchiveUnreadable is thrown.
/// Collective over the solvers. Throws InputError.
/// @param on_change see ArchiveMeta
/// @param past of a run that goes on
std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling,
                                            std::function<void(ArchiveChange, std::int64_t)> on_change = {},
                                            const RunPast* past = nullptr);

/// What the solver ranks do, in order: stream lessons while the gate takes in weights, run reference forecasts while the
/// learner trains on, take its last weights, run the hybrid with the version in use, score. Fills in the solver's, the
/// stream's, the gate's and the forecast's groups of the summary.
class SolverSide {
 public:
  /// @param stream null: samples go to the archive alone
  /// @param source of new weights, on the first solver rank; null elsewhere
  SolverSide(const CommandContext& context, SolverPair& pair, ArchiveWriter* archive, StreamProducer* stream,
             CandidateSource* source, MetricsWriter* metrics)
      : context_(context),
        deck_(context.deck),
        pair_(pair),
        archive_(archive),
        stream_(stream),
        metrics_(metrics),
        gate_(context.deck, pair, source, metrics) {}

  /// Both or none may be null: takes snapshots, and goes on from one.
  void set_snapshots(SolverSnapshots* snapshots, const RunPast* past) {
    snapshots_ = snapshots;
    past_ = past;
  }

  /// Returns false when a signal ended it early: then there are no forecasts.
  bool run(Summary& summary);
  /// Samples taught.
  std::int64_t samples() const { return samples_; }

 private:
  /// Returns false when a signal ended them and a snapshot was taken.
  bool stream_lessons();
  bool is_stopped_after_lessons(bool always = false) { return snapshots_ && snapshots_->consider(always); }
  bool leave(Summary& summary);
  void take_up(Ledger& ledger);
  void report_stream(Summary& summary, const Ledger& ledger) const;
  void find_frame_path();
  void push();
  Ledger end_stream();
  void lose_learner(const std::string& why);
  void report_lesson(int lesson);
  bool run_hybrid(Forecast& forecast);
  /// A full disk must not end the run: the loss is said, the stream goes on.
  void archive_sample();

  const CommandContext& context_;
  const Deck& deck_;
  SolverPair& pair_;
  ArchiveWriter* archive_;  ///< none when the deck names none
  StreamProducer* stream_;
  MetricsWriter* metrics_;
  Gate gate_;
  BudgetWatch watch_;
  std::shared_ptr<SampleTiles> sample_;  ///< while lessons run
  std::optional<FramePath> frame_path_;  ///< nothing before lessons
  std::int64_t samples_ = 0;  ///< taught so far
  SolverSnapshots* snapshots_ = nullptr;
  const RunPast* past_ = nullptr;
  LessonPlace from_;
};

}  // namespace tramontane
