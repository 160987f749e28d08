/// What solver ranks do to teach: run the fine solver, set the coarse one beside it, and hand on what it lacked.
#pragma once

#include <functional>

#include "kernels/sample.hpp"
#include "src/checkpoint/run_snapshot.hpp"
#include "src/coupled/fields_on_demand.hpp"
#include "src/coupled/sample_tiles.hpp"
#include "src/coupled/solver_pair.hpp"

namespace tramontane {

/// One trajectory to stream.
struct Lesson {
  Month month;
  bool validation = false;  ///< held out: never trained on
};

/// The lessons of a deck: teach.months, with the validation months spread among them, so that validation can begin
/// before the last lesson has run.
std::vector<Lesson> lessons_of(const Deck& deck);
/// Samples of one lesson, and of all of them.
int samples_per_lesson(const Deck& deck);
std::int64_t total_samples(const Deck& deck, bool validation);

/// What the caller does while lessons run.
struct TeachHooks {
  /// Before a sample, with its place: whether to leave here. None: a signal ends the lessons after the sample at hand.
  std::function<bool(const LessonPlace&)> at_boundary;
  std::function<void(int lesson)> started;          ///< the solvers are at the lesson's start
  /// The coarse-grained fine state at a sample's time, before its target is made; none: nobody looks.
  std::function<void(const SampleInfo&, const FieldsOnDemand& truth)> sampled;
  /// Samples in the order of their numbers: `sample` holds one, until the next is made.
  std::function<void()> deliver;
  std::function<void()> between;                    ///< often
  std::function<void(int lesson)> finished;         ///< after the lesson's last sample, or the last before a stop
};

/// Runs every lesson: from each sampled time, the coarse solver runs one interval from the coarse-grained fine state;
/// the target is what brings it to the coarse-grained fine state at the interval's end, per second. Collective over the
/// solver ranks. Ends after the sample at hand when a signal asks for it.
/// @param sample takes one sample after the other
/// @param from where to begin; within a lesson the fine solver must stand at that sample's time
/// Returns whether all lessons ran, or a signal ended them: false only where hooks.at_boundary said so.
bool teach(const Deck& deck, SolverPair& solvers, SampleTiles& sample, const TeachHooks& hooks, bool show_progress,
           const LessonPlace& from = {});

/// The sample's input variables from the coarse fields and orography, as floats.
std::vector<std::vector<float>> surrogate_inputs(const CellFields& coarse, const std::vector<double>& orography);

}  // namespace tramontane
