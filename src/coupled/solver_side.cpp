#include "src/coupled/solver_side.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "kernels/communicator.hpp"
#include "src/archive/archive_reader.hpp"
#include "src/archive/archive_structure.hpp"
#include "src/checkpoint/sealed_file.hpp"
#include "src/coupled/coarse_physics.hpp"
#include "src/coupled/forecast_report.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/output/cf_grid.hpp"
#include "src/output/continued_file.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/estimate.hpp"

namespace tramontane {

namespace {

/// Brings the archive back to the flush of the snapshot, whatever a kill has left of its structure since. Throws
/// ArchiveUnreadable on all ranks when what is there is not this run's, or lacks samples.
void restore_archive(const Deck& deck, MPI_Comm solvers, const RunPast& past) {
  std::string why;
  collective_guard(solvers, [&] {
    if (rank_in(solvers) != 0 || !past.snapshot.parts.contains(kArchivePart)) return;
    const std::string& path = *deck.stream.archive;
    try {
      const ArchiveReader there(path, true);
      if (there.run_id() != past.snapshot.run_id) why = fmt::format("archive {}: it is of another run", path);
    } catch (const InputError&) {
      // In pieces, as it may be.
    }
    if (!why.empty()) return;
    try {
      const std::string structure = read_behind_seal(past.path + "/" + kArchivePart);
      restore_archive_structure(path, std::as_bytes(std::span(structure)));
    } catch (const RunError& error) {
      why = error.what();
    }
  });
  why = shared_text(why, solvers);
  if (!why.empty()) throw ArchiveUnreadable(why);
}

}  // namespace

std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling,
                                            std::function<void(ArchiveChange, std::int64_t)> on_change,
                                            const RunPast* past) {
  const RunSnapshot* continued = past ? &past->snapshot : nullptr;
  if (!deck.stream.archive || (continued && continued->lessons_done)) return nullptr;
  const int rank = rank_in(solvers);
  if (continued && continued->archived == kArchiveFailed) {
    if (rank == 0)
      spdlog::warn("the archive {} had ended before the snapshot: it stays as it is", *deck.stream.archive);
    return nullptr;
  }
  ArchiveMeta meta;
  meta.interval_seconds = deck.surrogate.interval;
  meta.code_version = TRAMONTANE_VERSION;
  meta.run_id = run_id(deck);
  meta.source = fmt::format("winds, C{} taught to C{}", deck.grid.n, deck.surrogate.coarse_n);
  meta.physics = coarse_physics(deck);
  const CfGrid grid = cubed_sphere_cf_grid(tiling.n);
  meta.lon = grid.lon;
  meta.lat = grid.lat;
  meta.cell_area = grid.area;
  meta.on_change = std::move(on_change);
  if (continued && continued->archived != kNoArchive) {
    meta.keep_samples = continued->archived;
    try {
      restore_archive(deck, solvers, *past);
      return std::make_unique<ArchiveWriter>(*deck.stream.archive, solvers, tiling, meta);
    } catch (const ArchiveUnreadable& error) {
      collective_guard(solvers, [&] {
        if (rank != 0) return;
        const bool is_there = std::filesystem::exists(*deck.stream.archive);
        if (is_there) set_aside(*deck.stream.archive);
        spdlog::warn("the archive can not be continued ({}): a new one begins with sample {}{}", error.what(),
                     deck.exchange.dir ? 0 : continued->place.number,
                     is_there ? ", the old one is kept as " + *deck.stream.archive + ".broken" : "");
      });
      if (deck.exchange.dir) throw;
      meta.keep_samples.reset();
    }
  }
  return std::make_unique<ArchiveWriter>(*deck.stream.archive, solvers, tiling, meta);
}

bool SolverSide::run(Summary& summary) {
  Ledger ledger;
  if (context_.is_root() && stream_)
    spdlog::info(
        "a solver rank holds {} for the stream's queue of {} samples; {} of {} learner rank(s) read them there{}",
        bytes_text(stream_->queue_bytes()), deck_.stream.queue, stream_->sharing_learners(), context_.ranks.learners,
        stream_->keeping_learners() > 0
            ? fmt::format(", {} keep them where they were written", stream_->keeping_learners())
            : "");
  if (past_) take_up(ledger);
  if (snapshots_) snapshots_->set_parts({stream_, archive_, &gate_, &watch_});
  if (!past_ || !past_->snapshot.lessons_done) {
    if (!stream_lessons()) return leave(summary);
    if (stream_) ledger = end_stream();
  }
  if (stream_ || (past_ && !past_->snapshot.exchange)) report_stream(summary, ledger);
  gate_.end_lessons();
  if (snapshots_) {
    snapshots_->lessons_are_over({samples_, static_cast<std::int32_t>(lessons_of(deck_).size()), 0}, ledger);
    // What took long is not to be done twice.
    if (!(past_ && past_->snapshot.lessons_done) && is_stopped_after_lessons(true)) return leave(summary);
  }

  Forecast forecast(deck_, pair_);
  bool whole = forecast.run_references(context_.is_root(), [&] {
    gate_.poll(samples_);
    return is_stopped_after_lessons();
  });
  if (!whole && is_stopped_after_lessons()) return leave(summary);
  watch_.include(forecast.budget_watch());
  gate_.await_last(
      whole, [](std::int64_t step) { spdlog::info("the learner is at step {}", step); },
      [&] { return is_stopped_after_lessons(); });
  // The last weights are in: they, too, are not to be made twice.
  if (is_stopped_after_lessons(true)) return leave(summary);
  whole = whole && run_hybrid(forecast);
  if (!whole && is_stopped_after_lessons()) return leave(summary);
  summary.solver = solver_summary(pair_.fine(), watch_);
  summary.gate = gate_.summary();
  collective_guard(pair_.comm(), [&] {
    if (context_.is_root()) gate_.save_models(deck_.output.dir, !whole);
  });
  if (!whole) return false;
  write_forecasts(deck_, "run", pair_, forecast);
  summary.forecast = report_scores(pair_, forecast, metrics_);
  return true;
}

/// Everything stands as it did when the snapshot was taken.
void SolverSide::take_up(Ledger& ledger) {
  restore_fine_solver(*past_, deck_, pair_, watch_);
  GateState gate;
  collective_guard(pair_.comm(), [&] {
    if (context_.is_root()) gate = read_gate_parts(past_->path);
  });
  gate_.restore(std::move(gate));
  from_ = past_->snapshot.place;
  samples_ = from_.number;
  ledger = past_->snapshot.ledger;
}

/// Counts and the whole stall are those of the whole run, stalls by cause those of this job.
void SolverSide::report_stream(Summary& summary, const Ledger& ledger) const {
  summary.stream = stream_summary(ledger);
  if (stream_) add_stalls(*summary.stream, *stream_);
  if (frame_path_) summary.stream->path = name(*frame_path_);
  if (past_) summary.stream->producer_stall_seconds += past_->snapshot.stall_seconds;
}

/// After a snapshot that was to be the last, which holds all there is. Without a learner there is none, and what is
/// there must be kept.
bool SolverSide::leave(Summary& summary) {
  if (!summary.stream && stream_ && gate_.learner_is_lost())
    report_stream(summary, end_stream());  // a learner that gave up waits for the stream's end
  else if (!summary.stream && stream_)
    report_stream(summary, stream_->totals());
  summary.solver = solver_summary(pair_.fine(), watch_);
  summary.gate = gate_.summary();
  collective_guard(pair_.comm(), [&] {
    if (context_.is_root() && gate_.learner_is_lost()) gate_.save_models(deck_.output.dir, true);
  });
  return false;
}

Ledger SolverSide::end_stream() {
  Ledger ledger;
  try {
    ledger = stream_->finish();
  } catch (const LearnerSilent& error) {
    lose_learner(error.what());
    ledger = stream_->finish();
  }
  if (context_.is_root()) spdlog::info("stream closed: {}", to_string(ledger));
  if (!ledger.closed()) throw RunError("the stream's ledger does not close: " + to_string(ledger));
  return ledger;
}

/// Asks what is there, on every solver rank for itself, and says it.
void SolverSide::find_frame_path() {
  FramePathFacts facts;
  facts.host_reads = kHostReadsKernelMemory;
  facts.has_queue = stream_ != nullptr;
  facts.archives = archive_ != nullptr;
  if (!facts.host_reads) {
    if (stream_ && !archive_) facts.queue_not_locked = stream_->lock_queue();
    if (choose_frame_path(facts) != FramePath::slot) facts.buffer_not_locked = sample_->lock_buffer();
  }
  frame_path_ = choose_frame_path(facts);
  const int path = static_cast<int>(*frame_path_);
  std::vector<int> paths(static_cast<std::size_t>(size_of(pair_.comm())));
  MPI_Gather(&path, 1, MPI_INT, paths.data(), 1, MPI_INT, 0, pair_.comm());
  if (!context_.is_root()) return;
  spdlog::info("frames: {}", frame_path_text(facts));
  if (facts.host_reads) return;
  spdlog::info("GPU memory is {}; frames do not need it to be: their checksum is made on the host",
               mpi_and_gpu_memory());
  if (const auto other = std::ranges::find_if(paths, [&](int one) { return one != path; }); other != paths.end())
    spdlog::warn("solver rank {} and perhaps others have the path {} where this one has {}", other - paths.begin(),
                 name(static_cast<FramePath>(*other)), name(*frame_path_));
}

void SolverSide::push() {
  const auto push_once = [this] {
    // Not into the frame where the archive reads on: what befalls the one must not befall the other.
    if (frame_path_ == FramePath::host && !archive_)
      stream_->push(sample_->info, [this](std::span<float* const> variables) { sample_->write(variables); });
    else if (frame_path_ == FramePath::slot)
      stream_->push(sample_->info, sample_);
    else
      stream_->push(sample_->info, sample_->on_host());
  };
  try {
    push_once();
  } catch (const LearnerSilent& error) {  // on all solver ranks
    lose_learner(error.what());
    push_once();  // is counted
  }
}

/// On all solver ranks: nothing more goes to the learner, and what was on its way is lost.
void SolverSide::lose_learner(const std::string& why) {
  gate_.set_lost(why);
  if (!stream_) return;
  gate_.tell_lost(why);  // for good: what was abandoned can not be taken up again
  stream_->abandon();
}

/// With the version in use; one that can not be run to the end, or that the guard leaves out for the most part, is
/// rolled back, and the forecasts begin again with the one before, at last with physics alone: scores are those of one
/// version.
bool SolverSide::run_hybrid(Forecast& forecast) {
  while (HybridCorrection* correction = gate_.correction()) {
    try {
      const FallbackTally before =
          correction->fallback();  // it has run in shadow forecasts and beside the lessons, too
      const bool whole = run_hybrid_forecasts(forecast, *correction, context_.is_root());
      const double fallback = correction->fallback_since(before);
      if (whole && fallback > deck_.gate.fallback_limit) {
        gate_.roll_back("in the hybrid forecasts " + correction->fallback_text(fallback));
        continue;
      }
      const double clamped = correction->clamped_fraction();
      if (context_.is_root())
        spdlog::info("hybrid forecasts with version {}: {:.2e} of the corrections met their bounds", gate_.version(),
                     clamped);
      return whole;
    } catch (const BlowUp& error) {
      pair_.coarse().solver().set_forcing({});
      gate_.roll_back(std::string("in a hybrid forecast ") + error.what());
    }
  }
  if (context_.is_root())
    spdlog::warn("no weights are in use: the hybrid forecasts are those of the coarse solver, physics alone");
  forecast.hybrid_is_coarse();
  return true;
}

bool SolverSide::stream_lessons() {
  sample_ = std::make_shared<SampleTiles>(pair_.coarse().solver(), deck_.stream.deadline);
  find_frame_path();
  TeachHooks hooks;
  if (snapshots_) hooks.at_boundary = [&](const LessonPlace& place) { return snapshots_->consider(place); };
  hooks.started = [&](int) { watch_.start(pair_.fine()); };
  hooks.sampled = [&](const SampleInfo& info, const FieldsOnDemand& truth) {
    // Under `block` push() finds a silent learner; the other policies never wait for one.
    if (stream_ && context_.is_root() && stream_->silent_seconds() > deck_.stream.deadline)
      gate_.tell_lost(fmt::format("a learner rank has not answered to a sample for {:g} s", deck_.stream.deadline));
    gate_.poll(info.number);
    if (gate_.learner_is_lost() && !gate_.learner_takes_samples()) lose_learner(gate_.why_lost());
    gate_.see(info, truth);
    if (stream_) stream_->set_weights_version(gate_.version());
  };
  hooks.deliver = [&] {
    if (stream_) push();
    if (archive_) archive_sample();
    samples_ = sample_->info.number + 1;
  };
  hooks.between = [&] {
    if (stream_) stream_->progress();
  };
  hooks.finished = [&](int lesson) { report_lesson(lesson); };
  const bool whole = teach(deck_, pair_, *sample_, hooks, context_.is_root(), from_);
  sample_.reset();
  if (!whole) return false;
  if (archive_ && !archive_->failed()) archive_->close();
  return true;
}

void SolverSide::report_lesson(int lesson) {
  const Budgets drift = watch_.drift(pair_.fine());
  if (metrics_)
    metrics_->write("solver", {{"lesson", lesson},
                               {"lesson_seconds", pair_.fine().time()},
                               {"steps", pair_.fine().effort().steps},
                               {"mass_drift", drift.mass},
                               {"energy_drift", drift.energy},
                               {"enstrophy_drift", drift.potential_enstrophy},
                               {"angular_momentum_drift", drift.angular_momentum},
                               {"seconds", pair_.fine().effort().seconds}});
}

void SolverSide::archive_sample() {
  if (archive_->failed()) return;
  try {
    archive_->append(sample_->info, sample_->on_host());
  } catch (const RunError& error) {
    if (context_.is_root()) spdlog::error("the archive ends here, the run goes on: {}", error.what());
  }
}

}  // namespace tramontane
