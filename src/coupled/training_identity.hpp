/// What makes a training the same one, so that it may continue from a checkpoint.
#pragma once

#include "src/checkpoint/training_checkpoint.hpp"
#include "src/coupled/learning.hpp"

namespace tramontane {

/// @param samples, marks number of the samples and a sum over their contents and order
/// @param learners ranks
TrainingIdentity training_identity(const Deck& deck, const LearningPlan& plan, std::int64_t samples, std::uint64_t marks,
                                   int learners);

}  // namespace tramontane
