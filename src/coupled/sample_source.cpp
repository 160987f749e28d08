#include "src/coupled/sample_source.hpp"

#include <fmt/format.h>

namespace tramontane {

ArchiveSource::ArchiveSource(const std::vector<std::string>& paths, int learner, int learners)
    : next_(learner), learners_(learners) {
  if (paths.empty()) throw InputError("learner.archives names no archive: give the path of one that a run left");
  for (const std::string& path : paths) {
    auto archive = std::make_unique<ArchiveReader>(path);
    if (archives_.empty()) {
      n_ = archive->n();
      interval_ = archive->interval_seconds();
    } else if (archive->n() != n_ || archive->interval_seconds() != interval_) {
      throw InputError(
          fmt::format("{} holds C{} at {:g} s but {} holds C{} at {:g} s: train on archives of one grid and "
                      "interval",
                      path, archive->n(), archive->interval_seconds(), paths.front(), n_, interval_));
    }
    first_.push_back(total_);
    total_ += archive->size();
    for (std::int64_t k = 0; k < archive->size(); ++k) ++(archive->info(k).validation ? held_out_ : training_);
    archives_.push_back(std::move(archive));
  }
}

std::optional<Sample> ArchiveSource::wait() {
  if (ended()) return std::nullopt;
  std::size_t which = archives_.size() - 1;
  while (first_[which] > next_) --which;
  Sample sample = archives_[which]->read(next_ - first_[which]);
  sample.info.number = next_;
  next_ += learners_;
  return sample;
}

}  // namespace tramontane
