#include "src/coupled/rollout_starts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <tuple>

#include "src/coupled/coarse_physics.hpp"
#include "src/coupled/rollout.hpp"
#include "src/deck/duration.hpp"

namespace tramontane {

namespace {

/// Largest difference of a sample's target, taught again by the deck's coarse solver, from the one in its archive: root
/// mean square over that of the target. Samples are in single precision, which leaves some 1e-3; another order of
/// reconstruction or integrator gives some tenths.
constexpr double kMostDifference = 0.02;

/// Archive, trajectory, month.
using Trajectory = std::tuple<int, std::int32_t, std::int32_t>;

/// A trajectory's samples by time.
struct TimedSample {
  double time;
  std::int64_t number;
};
using Trajectories = std::map<Trajectory, std::vector<TimedSample>>;

Trajectories trajectories_of(const ArchiveSet& archives, const std::vector<std::int64_t>& numbers) {
  Trajectories out;
  for (const std::int64_t number : numbers) {
    const SampleInfo& info = archives.info(number);
    out[{archives.archive_of(number), info.trajectory, info.month}].push_back({info.time, number});
  }
  for (auto& [trajectory, samples] : out)
    std::sort(samples.begin(), samples.end(), [](const TimedSample& a, const TimedSample& b) { return a.time < b.time; });
  return out;
}

std::string stages_text(const Deck& deck, const RolloutSchedule& schedule) {
  return fmt::format("{}learner.rollout = [{}]", deck.where("learner.rollout"), fmt::join(schedule.stages, ", "));
}

void require_every_interval(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule,
                            const Trajectories& trajectories) {
  const double interval = archives.interval_seconds();
  std::vector<double> spacing(archives.archives().size(), std::numeric_limits<double>::infinity());
  for (const auto& [trajectory, samples] : trajectories)
    for (std::size_t k = 1; k < samples.size(); ++k) {
      double& least = spacing[static_cast<std::size_t>(std::get<0>(trajectory))];
      least = std::min(least, samples[k].time - samples[k - 1].time);
    }
  for (std::size_t a = 0; a < spacing.size(); ++a)
    if (std::isfinite(spacing[a]) && std::abs(spacing[a] - interval) > 1e-6 * interval)
      throw InputError(fmt::format(
          "{}: archive {} holds a sample every {} and rollouts need one every coupling interval of {}: write archives with "
          "stream.every = surrogate.interval, or set learner.rollout to []",
          stages_text(deck, schedule), archives.archives()[a]->path(), duration_text(spacing[a]),
          duration_text(interval)));
}

void require_long_trajectories(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule,
                               const Trajectories& trajectories) {
  if (!rollout_starts(archives, archives.training(), schedule.longest()).empty()) return;
  std::size_t longest = 0;
  for (const auto& [trajectory, samples] : trajectories) longest = std::max(longest, samples.size());
  throw InputError(
      fmt::format("{}: a rollout over {} intervals needs trajectories of {} samples, and the longest to train on in "
                  "archive {}{} has {}: shorten the rollouts, or teach for more days (teach.days)",
                  stages_text(deck, schedule), schedule.longest(), schedule.longest() + 1, archives.first_path(),
                  archives.archives().size() > 1 ? " and the others" : "", longest));
}

double root_mean_square(std::span<const float> values, std::span<const float> less, std::size_t first,
                        std::size_t end) {
  double sum = 0;
  for (std::size_t k = first; k < end; ++k) {
    const double value = static_cast<double>(values[k]) - (less.empty() ? 0.0 : static_cast<double>(less[k]));
    sum += value * value;
  }
  return std::sqrt(sum / static_cast<double>(end - first));
}

/// Teaches one sample of an archive again.
double require_same_lesson(const ArchiveSet& archives, const RolloutStart& start, Rollout& rollout) {
  const Sample taught = archives.read(start.start);
  const auto again = rollout.pair(taught, archives.read(start.truth), 1);
  const std::size_t cells = taught.target.size() / sample_targets().size(), all = taught.target.size();
  double difference = std::numeric_limits<double>::infinity();
  if (again) {
    const auto relative = [&](std::size_t first, std::size_t end) {
      return root_mean_square(again->target, taught.target, first, end) /
             root_mean_square(taught.target, {}, first, end);
    };
    difference = std::max(relative(0, cells), relative(cells, all));
  }
  if (difference <= kMostDifference) return difference;
  throw InputError(fmt::format(
      "archive {}: the coarse solver of the deck does not give its targets again ({:.2g} of a target differ, up to {:g} "
      "are accepted): give physics, time.cfl and initial.mean_depth the values that the archive's run had, or set "
      "learner.rollout to []",
      archives.archives()[static_cast<std::size_t>(archives.archive_of(start.start))]->path(), difference,
      kMostDifference));
}

}  // namespace

std::vector<RolloutStart> rollout_starts(const ArchiveSet& archives, const std::vector<std::int64_t>& numbers,
                                         int intervals) {
  const double ahead = intervals * archives.interval_seconds(), slack = 1e-6 * archives.interval_seconds();
  const Trajectories trajectories = trajectories_of(archives, numbers);
  std::vector<RolloutStart> out;
  for (const std::int64_t number : numbers) {
    const SampleInfo& info = archives.info(number);
    const auto& samples = trajectories.at({archives.archive_of(number), info.trajectory, info.month});
    const auto later = std::lower_bound(samples.begin(), samples.end(), info.time + ahead - slack,
                                        [](const TimedSample& sample, double time) { return sample.time < time; });
    if (later != samples.end() && later->time <= info.time + ahead + slack) out.push_back({number, later->number});
  }
  return out;
}

double require_rollouts(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule) {
  const Trajectories trajectories = trajectories_of(archives, archives.training());
  require_every_interval(deck, archives, schedule, trajectories);
  require_long_trajectories(deck, archives, schedule, trajectories);
  require_same_physics(deck, archives);
  // The orography is that of the first sample, and so of all.
  const std::size_t cells = static_cast<std::size_t>(kPanels) * archives.n() * archives.n();
  const auto orography_of = [&](std::int64_t number) {
    const Sample sample = archives.read(number);
    return std::vector<float>(sample.input.end() - static_cast<std::ptrdiff_t>(cells), sample.input.end());
  };
  const std::vector<float> orography = orography_of(archives.training().front());
  Rollout rollout(deck, archives.n(), orography);
  double largest = 0;
  std::vector<bool> seen(archives.archives().size(), false);
  for (const RolloutStart& start : rollout_starts(archives, archives.training(), 1)) {
    const auto archive = static_cast<std::size_t>(archives.archive_of(start.start));
    if (seen[archive]) continue;
    seen[archive] = true;
    if (orography_of(start.start) != orography)
      throw InputError(fmt::format("{}: archive {} has another orography than {}: rollouts need one for all, so train on "
                                   "archives of the same relief",
                                   stages_text(deck, schedule), archives.archives()[archive]->path(),
                                   archives.first_path()));
    largest = std::max(largest, require_same_lesson(archives, start, rollout));
  }
  return largest;
}

}  // namespace tramontane
