/// Which samples a learner trained on, and from which step on: what repeats a streamed training from its archive.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tramontane {

/// A sample that entered a learner's reservoir, in the order in which they did.
struct Delivery {
  std::int64_t number = -1;  ///< of the sample in its stream
  std::int64_t step = 0;     ///< the first step that could draw it; 0: before the first
  bool operator==(const Delivery&) const = default;
};

/// Writes the records of all learners into one text file: "learner,number,step" a line, learner by learner, behind a
/// line with the checksum of these lines. Collective over `learners`; written by its rank 0 under another name first.
/// Throws RunError on every rank.
void write_deliveries(const std::string& path, const std::vector<Delivery>& mine, MPI_Comm learners);

/// The record of one learner. Throws InputError, with what to do, when the file is missing or damaged, or was written
/// by another number of learners.
std::vector<Delivery> read_deliveries(const std::string& path, int learner, int learners);

}  // namespace tramontane
