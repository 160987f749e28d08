/// What a stream does when its queue is full.
#pragma once

#include <string>

namespace tramontane {

/// What happens to a sample when the queue is full.
enum class WhenFull {
  block,        ///< the solver waits: no sample is lost
  drop_oldest,  ///< the oldest sample not yet handed to MPI goes; the new one when all have been
  drop_newest,  ///< the new sample goes
};
/// "block", "drop_oldest" or "drop_newest"; throws InputError for anything else.
WhenFull parse_when_full(const std::string& text);

}  // namespace tramontane
