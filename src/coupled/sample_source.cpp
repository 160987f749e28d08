#include "src/coupled/sample_source.hpp"

namespace tramontane {

bool ArchiveSource::wait(Sample& into) {
  if (ended()) return false;
  archives_.read(next_, into);
  next_ += learners_;
  return true;
}

}  // namespace tramontane
