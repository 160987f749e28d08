#include "src/coupled/teacher.hpp"

#include <cmath>
#include <utility>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

std::vector<float> to_float(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<Lesson> lessons_of(const Deck& deck) {
  const std::vector<Month> months = deck.teach_months();
  std::vector<Lesson> lessons;
  std::size_t placed = 0;
  const std::size_t held_out = deck.teach.validation.size();
  for (std::size_t k = 0; k < months.size(); ++k) {
    lessons.push_back({months[k], false});
    // After lesson k, (k + 1) / months of the validation lessons have been placed.
    while (placed < held_out && placed * months.size() < (k + 1) * held_out)
      lessons.push_back({deck.teach.validation[placed++], true});
  }
  return lessons;
}

int samples_per_lesson(const Deck& deck) {
  return static_cast<int>(std::floor(deck.teach.days * 86400 / deck.stream.every + 1e-9));
}

std::int64_t total_samples(const Deck& deck, bool validation) {
  const std::size_t lessons = validation ? deck.teach.validation.size() : deck.teach_months().size();
  return static_cast<std::int64_t>(lessons) * samples_per_lesson(deck);
}

std::vector<std::vector<float>> surrogate_inputs(const CellFields& coarse, const std::vector<double>& orography) {
  std::vector<double> surface = coarse.depth;
  for (std::size_t k = 0; k < surface.size(); ++k) surface[k] += orography[k];
  return {to_float(surface), to_float(coarse.velocity[0]), to_float(coarse.velocity[1]), to_float(coarse.velocity[2]),
          to_float(orography)};
}

bool teach(const Deck& deck, SolverPair& solvers, SampleTiles& sample, const TeachHooks& hooks, bool show_progress,
           const LessonPlace& from) {
  const std::vector<Lesson> lessons = lessons_of(deck);
  const int samples = samples_per_lesson(deck);
  const double interval = deck.surrogate.interval, every = deck.stream.every;
  Progress progress("teaching", static_cast<double>(lessons.size()) * samples, "samples",
                    show_progress && rank_in(solvers.comm()) == 0);
  std::int64_t number = from.number;
  int first = from.sample;
  for (std::size_t lesson = from.lesson; lesson < lessons.size(); ++lesson) {
    if (first == 0) {
      solvers.start(lessons[lesson].month);
      hooks.started(static_cast<int>(lesson));
    }
    bool stop = false;
    for (int k = std::exchange(first, 0); k < samples && !stop; ++k) {
      if (hooks.at_boundary && hooks.at_boundary({number, static_cast<std::int32_t>(lesson), k})) return false;
      const double time = solvers.fine().time();
      solvers.restart_coarse();
      sample.begin({number, static_cast<std::int32_t>(lesson), lessons[lesson].validation ? 1 : 0,
                    lessons[lesson].month.number(), time},
                   solvers.coarse().state());
      if (hooks.sampled)
        hooks.sampled(sample.info, FieldsOnDemand([&] { return solvers.coarse().fields(); }));
      solvers.coarse().advance(interval);
      hooks.between();  // by now a sample that left a device during this interval is there
      solvers.fine().advance(interval);
      sample.finish(solvers.coarse().state(), solvers.coarse_grained_state(), interval);
      hooks.deliver();
      ++number;
      sign_of_life("lesson-sample", number);
      hooks.between();
      progress.update(static_cast<double>(number), lessons[lesson].month.text());
      stop = !hooks.at_boundary && stop_requested(solvers.comm());
      if (every > interval && k + 1 < samples && !stop) solvers.fine().advance(every - interval);
      hooks.between();
    }
    hooks.finished(static_cast<int>(lesson));
    if (stop) return true;
  }
  return true;
}

}  // namespace tramontane
