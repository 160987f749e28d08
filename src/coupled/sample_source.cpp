#include "src/coupled/sample_source.hpp"

namespace tramontane {

std::optional<Sample> ArchiveSource::wait() {
  if (ended()) return std::nullopt;
  Sample sample = archives_.read(next_);
  next_ += learners_;
  return sample;
}

}  // namespace tramontane
